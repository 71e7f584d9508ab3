"""Faults of the engine's processes: killed, stopped for a while, told to end at once."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from typing import ClassVar, Self

from battery.faults.fault import NotNow, Stage
from battery.house import HOUSEKEEPING, WORKERS
from battery.process import Process

#: How long a process is stopped, in leases: less than one, a little more, far more.
STOPS = (0.5, 1.2, 3.0)


@dataclass(frozen=True)
class KillWorker:
    """kill -9 of a worker."""

    kind: ClassVar[str] = "kill -9 of a worker"
    lawful: ClassVar[bool] = False
    names: tuple[str, ...]
    seconds: float = 0.0

    @property
    def touches(self) -> frozenset[str]:
        return frozenset(self.names)

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls((dice.choice(WORKERS),))

    def inject(self, stage: Stage) -> str:
        for process in _running(stage, self.names):
            process.send(signal.SIGKILL, self.kind)
        return ", ".join(self.names)

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        return True


class KillAllWorkers(KillWorker):
    """kill -9 of every worker at once."""

    kind: ClassVar[str] = "kill -9 of every worker"

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(WORKERS)


class KillHousekeeping(KillWorker):
    """kill -9 of a housekeeping process."""

    kind: ClassVar[str] = "kill -9 of housekeeping"

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls((dice.choice(HOUSEKEEPING),))


@dataclass(frozen=True)
class Stop:
    """SIGSTOP, then SIGCONT after 0.5, 1.2 or 3 leases."""

    kind: ClassVar[str] = "SIGSTOP of a worker"
    lawful: ClassVar[bool] = False
    name: str
    seconds: float

    @property
    def touches(self) -> frozenset[str]:
        return frozenset({self.name})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(dice.choice(WORKERS), dice.choice(STOPS) * lease)

    def inject(self, stage: Stage) -> str:
        (process,) = _running(stage, (self.name,))
        process.send(signal.SIGSTOP)
        return self.name

    def lift(self, stage: Stage) -> bool:
        stage.house.processes[self.name].send(signal.SIGCONT)
        return True


@dataclass(frozen=True)
class StopAllWorkers:
    """Every worker at once, so that what was granted lies in its queue meanwhile."""

    kind: ClassVar[str] = "SIGSTOP of every worker"
    lawful: ClassVar[bool] = False
    seconds: float
    touches: ClassVar[frozenset[str]] = frozenset(WORKERS)

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(dice.choice(STOPS[:2]) * lease)

    def inject(self, stage: Stage) -> str:
        for process in _running(stage, WORKERS):
            process.send(signal.SIGSTOP)
        return ", ".join(WORKERS)

    def lift(self, stage: Stage) -> bool:
        for process in stage.house.workers:
            process.send(signal.SIGCONT)
        return True


class StopHousekeeping(Stop):
    """The same for housekeeping."""

    kind: ClassVar[str] = "SIGSTOP of housekeeping"

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(dice.choice(HOUSEKEEPING), dice.choice(STOPS) * lease)


@dataclass(frozen=True)
class Tell:
    """SIGTERM or SIGQUIT: a worker that is told to end, with or without waiting for scripts."""

    kind: ClassVar[str] = "worker told to end"
    lawful: ClassVar[bool] = True
    name: str
    word: signal.Signals
    seconds: float = 0.0

    @property
    def touches(self) -> frozenset[str]:
        return frozenset({self.name})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(dice.choice(WORKERS), dice.choice((signal.SIGTERM, signal.SIGQUIT)))

    def inject(self, stage: Stage) -> str:
        (process,) = _running(stage, (self.name,))
        process.send(self.word, self.word.name)
        return f"{self.name}, {self.word.name}"

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        return True


def _running(stage: Stage, names: tuple[str, ...]) -> list[Process]:
    processes = [stage.house.processes[name] for name in names]
    if any(not p.alive or not p.awake or p.stopped or p.expected for p in processes):
        raise NotNow
    return processes
