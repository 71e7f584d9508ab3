"""What must be done so that a rare failpoint is passed at all: a fault for each such door."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from battery.faults.fault import Fault, Stage
from battery.faults.machine_faults import WrapperAndScriptKilled
from battery.faults.people import AppliedAgain, BatchCancelled, DeployedAgain, DeploymentCancelled
from battery.faults.process_faults import KillWorker, Tell
from battery.faults.redis_faults import RedisFlushed
from battery.injector import Injector
from battery.schedule import Planned

Make = Callable[[random.Random], Fault]


def _lost(_dice: random.Random) -> Fault:
    return KillWorker(("worker-2",))


def _flushed(_dice: random.Random) -> Fault:
    return RedisFlushed(0.2)


#: By door; where a worker is to pass it, the one that is armed lives and the other is hit.
FAULTS: Mapping[str, Make] = {
    "sql.answer": lambda dice: WrapperAndScriptKilled(dice, "ask", strictly=True),
    "sql.apply": lambda _: AppliedAgain(),
    "sql.cancel": lambda _: DeploymentCancelled(),
    "sql.cancel-batch": lambda _: BatchCancelled(),
    "sql.deploy": lambda _: DeployedAgain(),
    "sql.leave": lambda _: Tell("worker-1", signal.SIGTERM),
    "sql.lost": _lost,
    "sql.put-back": _lost,
    "sql.take-over": _lost,
    "sql.rebuild": _flushed,
    "lua.hold": _flushed,
    "lua.rebuild-begin": _flushed,
    "lua.rebuild-finish": _flushed,
    "publish.cancel": lambda _: DeploymentCancelled(),
    "ticket.revoke": _lost,
}
#: Seconds between two.
EVERY = 1.5


class Needs:
    """Adds a fault to the schedule as long as a door needs one."""

    def __init__(self, stage: Stage, injector: Injector, dice: random.Random) -> None:
        self._stage = stage
        self._injector = injector
        self._dice = dice
        self._next = time.monotonic() + 5 * EVERY

    def tend(self, points: Sequence[str]) -> None:
        """One more, if some of these points need it and it is time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        doors = sorted({point.rpartition(".")[0] for point in points} & FAULTS.keys())
        if doors:
            self._injector.add(Planned(0.0, FAULTS[self._dice.choice(doors)](self._dice)))
