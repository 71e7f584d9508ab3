"""What must be done so that a rare failpoint is passed at all: a fault for each such door."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from battery.faults import people
from battery.faults.fault import Fault, Stage
from battery.faults.machine_faults import MachineAway, WrapperAndScriptKilled
from battery.faults.process_faults import KillWorker, Tell
from battery.faults.redis_faults import RedisFlushed
from battery.injector import Injector
from battery.scenario import LENIENT, PATIENT
from battery.schedule import Planned

Make = Callable[[random.Random], Fault]


def _lost(_dice: random.Random) -> Fault:
    return KillWorker(("worker-2",))


def _left_out(dice: random.Random) -> Fault:
    return dice.choice((people.MachineDrained(2.0), MachineAway(3.0, LENIENT)))


def _flushed(_dice: random.Random) -> Fault:
    return RedisFlushed(0.2)


#: By door; where a worker is to pass it, the one that is armed lives and the other is hit.
FAULTS: Mapping[str, Make] = {
    "sql.answer": lambda dice: WrapperAndScriptKilled(dice, "ask", strictly=True),
    "sql.apply": lambda _: people.AppliedAgain(),
    "sql.aside": lambda _: MachineAway(3.0, PATIENT),
    "sql.catch-up": _left_out,
    "sql.machine": lambda _: people.MachineDrained(1.0),
    "sql.block": lambda _: people.ReleaseBlocked(),
    "sql.cancel": lambda _: people.DeploymentCancelled(),
    "sql.cancel-batch": lambda _: people.BatchCancelled(),
    "sql.deploy": lambda _: people.DeployedAgain(),
    "sql.due": lambda _: people.DeployedLater(),
    "sql.recall": lambda _: people.Prioritised(),
    "sql.recur": lambda _: people.ScheduleChanged(),
    "sql.reorder": lambda _: people.MovedToTop(),
    "sql.reseal": lambda _: people.KeysChanged(),
    "sql.leave": lambda _: Tell("worker-1", signal.SIGTERM),
    "sql.lost": _lost,
    "sql.put-back": _lost,
    "sql.take-over": _lost,
    "sql.rebuild": _flushed,
    "lua.hold": _flushed,
    "lua.rebuild-begin": _flushed,
    "lua.rebuild-finish": _flushed,
    "publish.cancel": lambda _: people.DeploymentCancelled(),
    "ticket.revoke": _lost,
}
#: Doors that only these projects lead to.
PROJECTS: Mapping[str, str] = {"sql.aside": PATIENT, "sql.catch-up": LENIENT}
#: Seconds between two.
EVERY = 1.5


def projects(points: Sequence[str]) -> tuple[str, ...]:
    """The projects that lead to all of these points; none: it takes any."""
    doors = {point.rpartition(".")[0] for point in points}
    return tuple(sorted(PROJECTS[door] for door in doors)) if doors <= PROJECTS.keys() else ()


class Needs:
    """Adds a fault to the schedule as long as a door needs one."""

    def __init__(self, stage: Stage, injector: Injector, dice: random.Random) -> None:
        self._stage = stage
        self._injector = injector
        self._dice = dice
        self._next = time.monotonic() + 5 * EVERY
        self._tried: Counter[str] = Counter()
        self._rested: dict[str, float] = {}
        self._added: dict[str, Planned] = {}

    def tend(self, points: Sequence[str]) -> None:
        """One more, if some of these points need it and it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        needy = {point.rpartition(".")[0] for point in points} & FAULTS.keys()
        doors = sorted(
            door for door in needy if self._rested.get(door, 0.0) <= now and not self._waits(door)
        )
        if doors:
            door = self._dice.choice(doors)
            # Each try of a door makes it wait longer: what one fault stirs up hides other doors.
            self._tried[door] += 1
            self._rested[door] = now + 2 * EVERY * self._tried[door]
            self._added[door] = Planned(0.0, FAULTS[door](self._dice))
            self._injector.add(self._added[door])

    def _waits(self, door: str) -> bool:
        """Whether the last fault for this door still waits for its moment."""
        return door in self._added and self._injector.waits(self._added[door])
