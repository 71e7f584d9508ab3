"""Failpoints for whoever is started: each gets a few at which it shall die, until all had a turn.

Which process passes which door is learnt from the traces of those that lived before; a door that
nobody was seen to pass yet is given to everybody.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deployengine import failpoints

#: Doors that only commands pass, so no worker need be armed with them.
COMMANDS = (
    *("sql.apply", "sql.batch", "sql.release", "sql.deploy", "sql.cancel", "sql.cancel-batch"),
    "sql.answer",
)
#: How many points one process is armed with.
ARMS = 3
#: Of the processes that are started, so many are armed.
SHARE = 0.85

#: Doors at which a process is stopped for leases, so that it wakes where it is no longer wanted.
STOPS = ("ticket.start.before", "sql.claim.after", "sql.end.before", "ticket.start.after")


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
        #: Until then processes are armed; the end of a round is quiet.
        self.open = True
        self.kills = True
        self.stops = True
        self.fails = True

    def killed(self, names: Iterator[str]) -> None:
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
        if process.startswith("command"):
            return self._for_command()
        if self._dice.random() > SHARE:
            return ()
        choices = self._kills(process) if self.kills else []
        if process.startswith("worker") and self.stops and self._dice.random() < 0.25:
            choices = [f"{self._dice.choice(STOPS)}=stop@{self._dice.randint(1, 4)}", *choices[:1]]
        if self.fails and self._dice.random() < 0.2:
            side = self._dice.choice(("before", "after"))
            door = self._dice.choice(
                ("sql.claim", "sql.end", "sql.open", "sql.finish", "sql.begin")
            )
            choices = [f"{door}.{side}=fail@{self._dice.randint(1, 3)}", *choices[:1]]
        if not choices and self.kills:
            choices = [f"any=kill@{self._dice.randint(20, 400)}"]
        return list({c.partition("=")[0]: c for c in choices}.values())

    def _kills(self, process: str) -> list[str]:
        kind = process.partition("-")[0]
        seen = {other: names for other, names in self._passed().items() if other != "command"}
        everybody = set().union(*seen.values()) if seen else set()
        own = seen.get(kind, set())
        fit = [
            name
            for name in self._left
            if name in own or (name not in everybody and name.rpartition(".")[0] not in COMMANDS)
        ]
        # What was seen first: those die soon; of the others one comes along.
        known = [name for name in fit if name in own][: ARMS - 1]
        rare = [name for name in fit if name not in own]
        self._dice.shuffle(rare)
        chosen = [*known, *rare[: max(ARMS - len(known), 1) + 2]]
        return [f"{name}=kill@{self.passing[name]}" for name in chosen]

    def _for_command(self) -> Sequence[str]:
        """All that is left: a command passes few doors, and dies at the first of them."""
        if not self.kills or self._dice.random() > SHARE:
            return ()
        mine = [
            name
            for name in self._left
            if name.rpartition(".")[0] in COMMANDS or name.startswith(("publish.", "lua."))
        ]
        return [f"{name}=kill" for name in mine]

    def _passed(self) -> dict[str, set[str]]:
        passed: dict[str, set[str]] = {}
        for path in self._traces.glob("*"):
            kind = path.name.partition("-")[0]
            passed.setdefault(kind, set()).update(path.read_text().split("\n"))
        return passed


def traced(traces: Path) -> Counter[str]:
    """How often each point was passed and each branch taken, by all processes together."""
    counted: Counter[str] = Counter()
    for path in traces.glob("*"):
        counted.update(line for line in path.read_text().splitlines() if " " not in line)
    return counted
