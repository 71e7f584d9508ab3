"""Failpoints for whoever is started: each gets a few at which it shall die, until all had a turn.

Which process passes which door is learnt from the traces of those that lived before; a door that
nobody was seen to pass yet is given to everybody.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deployengine import failpoints

#: Doors that only commands pass, so no worker need be armed with them.
COMMANDS = (
    *("sql.apply", "sql.batch", "sql.release", "sql.deploy", "sql.cancel", "sql.cancel-batch"),
    *("sql.answer", "sql.block", "sql.machine", "sql.reorder", "sql.reseal"),
)
#: Doors that are passed only when something has gone wrong.
RARE = (
    *(*COMMANDS, "sql.leave", "sql.lost", "sql.put-back", "sql.take-over", "sql.rebuild"),
    *("lua.hold", "lua.rebuild-begin", "lua.rebuild-finish", "publish.cancel", "ticket.revoke"),
    *("publish.parked", "sql.due", "sql.recall", "sql.recur", "sql.aside", "sql.catch-up"),
)
#: Doors that a worker passes when another one has died at a certain point.
BAITS: Mapping[str, str] = {"sql.put-back": "ticket.start.before"}
#: Of the processes that are started, so many are armed.
SHARE, SECOND_SHARE = 0.95, 0.3
#: Of those who have no point left at which to die, half as many: they would only keep the others,
#: who have some, from coming to theirs.
DONE_SHARE = 0.5
#: A point that was passed so often is common: it kills at a passing that is drawn.
COMMON = 15

#: Doors at which somebody is stopped, so that he wakes where he is no longer wanted, and for how
#: many leases. Each gets its turn before others are drawn.
STOPS = (
    ("ticket.start.before", 3.0),
    ("sql.claim.after", 3.0),
    ("ticket.exit.after", 1.2),
    ("sql.end.before", 3.0),
    ("sql.output.before", 3.0),
    ("ticket.start.after", 3.0),
    ("ticket.state.before", 1.2),
    ("lua.release.before", 1.2),
    ("sql.claim.before", 1.2),
    ("sql.end.after", 0.5),
)
#: The same for housekeeping: who comes later may then reach Redis first.
HOUSEKEEPING_STOPS = (
    ("sql.open.after", 1.2),
    ("lua.submit.before", 1.2),
    ("sql.finish.after", 0.5),
    ("publish.chain.before", 1.2),
    ("sql.rebuild.after", 1.2),
)
#: Doors of the database that fail, as if the connection were gone before or after the commit.
FAILING = tuple(
    f"sql.{name}.{side}"
    for name in ("claim", "end", "open", "finish", "begin", "output", "beat", "take-over")
    for side in ("before", "after")
)


def of_wrapper(name: str) -> bool:
    """Whether it is a script's wrapper that passes this point, and dies there."""
    return name.rpartition(".")[0] in failpoints.WRAPPER_DOORS


class Armoury:
    """Hands out failpoints; the same dice and the same deaths give the same ones."""

    def __init__(
        self, dice: random.Random, traces: Path, start_at: Mapping[str, int] | None = None
    ) -> None:
        self._dice = dice
        self._traces = traces
        #: The passing at which each point kills; it goes up when it did (see the soak).
        self.passing: Counter[str] = Counter(dict.fromkeys(failpoints.POINTS, 1))
        self.passing.update(start_at or {})
        self._left = list(failpoints.POINTS)
        dice.shuffle(self._left)
        self._stops = {"worker": list(STOPS), "housekeeping": list(HOUSEKEEPING_STOPS)}
        self._only: Mapping[str, Sequence[str]] = {}
        #: How many leases a sleep takes that nothing else is said of.
        self.otherwise = 1.2
        #: Whether everybody gets points to die at, and nobody is stopped or fails.
        self.kills_only = False
        #: Until then processes are armed; the end of a round is quiet.
        self.open = True
        #: How long each who is stopped at a point sleeps, in leases.
        self.leases: dict[str, float] = dict((*STOPS, *HOUSEKEEPING_STOPS))

    def only(self, arms: Mapping[str, Sequence[str]], leases: float) -> None:
        """Arms each kind of process with one of these and nothing else; none: as ever."""
        if arms:
            self._left.clear()
            self._only = arms
            self.leases = {}
            self.otherwise = leases

    def killed(self, names: Iterable[str]) -> None:
        """Takes points off the list at which somebody was killed."""
        gone = set(names)
        self._left = [name for name in self._left if name not in gone]

    @property
    def left(self) -> tuple[str, ...]:
        """The points at which nobody was killed yet."""
        return tuple(self._left)

    def arms(self, process: str) -> Sequence[str]:
        """For the next who is started in this place."""
        if not self.open:
            return ()
        kind = process.partition("-")[0]
        if self._only:
            choices = self._only.get(process) or self._only.get(kind)
            return [self._dice.choice(choices)] if choices else ()
        if kind == "command":
            return self._for_command()
        roll = self._dice.random()
        # The second of each kind is mostly left alone, so that the work goes on meanwhile.
        first = process.endswith("-1") or not self._natural()
        if not process.endswith("-1") and (bait := self._bait(kind)):
            return [f"{bait}=kill@{self._dice.randint(1, 2)}"]
        if self.kills_only:
            return self._kills(process) if first or roll < 0.5 else ()
        share = (SHARE if first else SECOND_SHARE) * (1 if self._kills(process) else DONE_SHARE)
        if roll > share:
            return ()
        if roll < (0.3 if self._stops[kind] else 0.15):
            return self._stop(kind)
        if roll < 0.5:
            failing = f"{self._dice.choice(FAILING)}=fail@{self._dice.randint(1, 3)}"
            name = failing.partition("=")[0]
            return [failing, *(k for k in self._kills(process) if not k.startswith(f"{name}="))]
        return self._kills(process) or [f"any=kill@{self._dice.randint(20, 400)}"]

    def _natural(self) -> bool:
        """Whether there are points left that are passed without anybody's doing."""
        return any(name.rpartition(".")[0] not in RARE for name in self._left)

    def _bait(self, kind: str) -> str | None:
        """Where the second worker dies, so that the first one passes what is left to pass."""
        if kind != "worker" or (self._natural() and not self.kills_only):
            return None
        doors = {name.rpartition(".")[0] for name in self._left}
        wanted = sorted(BAITS[door] for door in doors & BAITS.keys())
        return self._dice.choice(wanted) if wanted else None

    def _stop(self, kind: str) -> Sequence[str]:
        common = STOPS if kind == "worker" else HOUSEKEEPING_STOPS
        waiting = self._stops[kind]
        name, leases = waiting.pop(0) if waiting else self._dice.choice(common)
        self.leases[name] = leases
        return [f"{name}=stop@{self._dice.randint(1, 3)}"]

    def _kills(self, process: str) -> list[str]:
        """All that is left and fits: a process dies at the first of them that it passes."""
        kind = process.partition("-")[0]
        passed = self._passed()
        own = passed.pop(kind, Counter())
        others = set().union(*(names for other, names in passed.items() if other != "command"))
        fit = [
            name
            for name in self._left
            if name in own or (name not in others and name.rpartition(".")[0] not in COMMANDS)
        ]
        return [f"{name}=kill@{self._passing(name, own[name])}" for name in fit]

    def _passing(self, name: str, passed: int) -> int:
        if self.passing[name] > 1 or passed < COMMON or of_wrapper(name):
            return self.passing[name]
        return self._dice.randint(1, 4)

    def _for_command(self) -> Sequence[str]:
        """All that is left: a command passes few doors, and dies at the first of them."""
        if self._dice.random() > SHARE:
            return ()
        mine = [
            name
            for name in self._left
            if name.rpartition(".")[0] in (*COMMANDS, "sql.recall")
            or name.startswith(("publish.", "lua."))
        ]
        return [f"{name}=kill" for name in mine]

    def _passed(self) -> dict[str, Counter[str]]:
        passed: dict[str, Counter[str]] = {}
        for path in self._traces.glob("*"):
            kind = path.name.partition("-")[0]
            passed.setdefault(kind, Counter()).update(path.read_text().splitlines())
        return passed


def traced(traces: Path) -> Counter[str]:
    """How often each point was passed and each branch taken, by all processes together."""
    counted: Counter[str] = Counter()
    for path in traces.glob("*"):
        counted.update(line for line in path.read_text().splitlines() if " " not in line)
    return counted
