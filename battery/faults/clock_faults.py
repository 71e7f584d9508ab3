"""A worker whose clock is an hour wrong."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from typing import ClassVar, Self

from battery.clock import library, skewed
from battery.faults.fault import NotNow, NotPossible, Stage
from battery.house import HOUSEKEEPING, WORKERS


@dataclass
class WorkerClock:
    """A process is killed and started again with a clock that is wrong by an hour, for a while."""

    kind: ClassVar[str] = "clock of a process wrong by an hour"
    lawful: ClassVar[bool] = False
    name: str
    offset: str
    seconds: float

    @property
    def touches(self) -> frozenset[str]:
        return frozenset({self.name})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        name = dice.choice((*WORKERS, *HOUSEKEEPING))
        return cls(name, dice.choice(("+1h", "-1h")), 4 * min(lease, 2.0))

    def inject(self, stage: Stage) -> str:
        if library() is None:
            raise NotPossible("libfaketime is not installed")
        process = stage.house.processes[self.name]
        if not process.alive or not process.awake or process.stopped or process.expected:
            raise NotNow
        stage.house.next_environ[self.name] = skewed(self.offset)
        process.send(signal.SIGKILL, self.kind)
        return f"{self.name}, {self.offset}"

    def lift(self, stage: Stage) -> bool:
        stage.house.next_environ.pop(self.name, None)
        process = stage.house.processes[self.name]
        if process.alive and not process.expected:
            process.send(signal.SIGTERM, "back to the right time")
        return True


FAULTS: tuple[type, ...] = (WorkerClock,)
