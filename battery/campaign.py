"""Many rounds as one: what was done, what was reached, what was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from battery.faults.machine_faults import DISKS
from battery.round import Outcome
from battery.schedule import KINDS
from deployengine import failpoints

#: Faults that want a disk mounted, which is not allowed to everybody everywhere.
MOUNTED = frozenset(disk.kind for disk in DISKS)


@dataclass
class Campaign:
    """The sum of rounds. Nothing is missing when every failpoint killed and every branch ran."""

    seed: str
    rounds: int = 0
    seconds: float = 0.0
    releases: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    killed_at: Counter[str] = field(default_factory=Counter)
    #: The failpoints that killed somebody, by database.
    killed_on: dict[str, set[str]] = field(default_factory=dict)
    #: Branches that were taken while every protection was in place, and for others the protections
    #: without which they were.
    taken_whole: set[str] = field(default_factory=set)
    taken_without: dict[str, set[str]] = field(default_factory=dict)
    impossible: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    longest_to_rest: float = 0.0
    databases: Counter[str] = field(default_factory=Counter)
    #: Whether the time was over before everything was reached.
    out_of_time: bool = False

    def add(self, outcome: Outcome, without: Sequence[str] = ()) -> None:
        """One more round, played without these protections."""
        self.rounds += 1
        self.seconds += outcome.seconds
        self.releases += outcome.releases
        self.faults.update(outcome.faults)
        self.acts.update(outcome.acts)
        self.passed.update(outcome.traced)
        self.killed_at.update(outcome.killed_at)
        self.killed_on.setdefault(outcome.database, set()).update(outcome.killed_at)
        taken = {name for name in failpoints.BRANCHES if outcome.traced[name]}
        if not without:
            self.taken_whole |= taken
        for name in taken if without else ():
            self.taken_without.setdefault(name, set()).update(without)
        self.impossible.update(outcome.impossible)
        self.longest_to_rest = max(self.longest_to_rest, outcome.seconds_to_rest)
        self.databases[outcome.database] += 1
        where = f"{outcome.database}, seed {outcome.seed}"
        self.violations += [f"{where}: {line}" for line in outcome.document()["violations"]]

    @property
    def injected(self) -> int:
        """How many faults."""
        return self.faults.total()

    @property
    def not_injected(self) -> dict[str, str]:
        """The kinds that were injected in no round, and why."""
        done = self.faults + self.acts
        return {
            kind.kind: self.impossible.get(kind.kind, "nothing to do it to, or nothing came of it")
            for kind, _ in KINDS
            if not done[kind.kind]
        }

    @property
    def not_mounted(self) -> list[str]:
        """The kinds among them that want a disk which may not be mounted here."""
        return sorted(self.not_injected.keys() & self.impossible.keys() & MOUNTED)

    @property
    def only_without(self) -> dict[str, list[str]]:
        """Branches that were taken only in a hunt that leaves protections out, and which."""
        return {
            name: sorted(left_out)
            for name, left_out in self.taken_without.items()
            if name not in self.taken_whole
        }

    @property
    def not_passed(self) -> list[str]:
        """Failpoints that nobody passed."""
        return [name for name in failpoints.POINTS if not self.passed[name]]

    @property
    def never_killed(self) -> list[str]:
        """Failpoints at which nobody was killed."""
        return [name for name in failpoints.POINTS if not self.killed_at[name]]

    @property
    def never_taken(self) -> list[str]:
        """Dangerous branches that were not reached."""
        return [name for name in failpoints.BRANCHES if not self.passed[name]]

    @property
    def unfinished(self) -> bool:
        """Whether there is something that more rounds may reach; branches can be hunted for."""
        return bool(self.not_passed or self.never_killed or self.waiting)

    @property
    def waiting(self) -> set[str]:
        """The kinds of fault that were not injected yet, and can be."""
        return self.not_injected.keys() - self.impossible.keys()

    def complaints(self, least: int, mounts: bool = True) -> list[str]:
        """Why this campaign proves nothing, or proves the engine wrong; empty for a good one.

        ``mounts``: whether a disk that could not be mounted is complained of.
        """
        said = []
        excused = set() if mounts else set(self.not_mounted)
        if self.violations:
            said.append(f"{len(self.violations)} rules broken")
        if self.injected < least:
            said.append(f"{self.injected} faults injected, at least {least} are wanted")
        for what, names in (
            ("failpoints were not passed", self.not_passed),
            ("failpoints killed nobody", self.never_killed),
            ("branches were not taken", self.never_taken),
            ("kinds were not injected", [k for k in self.not_injected if k not in excused]),
        ):
            if names:
                said.append(f"{len(names)} {what}: {', '.join(names)}")
        if said and self.out_of_time:
            said.append("the time was over")
        return said

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "databases": dict(self.databases),
            "seconds": round(self.seconds, 1),
            "releases": self.releases,
            "injected": self.injected,
            "faults": dict(sorted(self.faults.items())),
            "acts": dict(sorted(self.acts.items())),
            "not_injected": self.not_injected,
            "failpoints": _share(failpoints.POINTS, self.not_passed),
            "failpoints_that_killed": {
                **_share(failpoints.POINTS, self.never_killed),
                "by_database": {name: len(points) for name, points in self.killed_on.items()},
            },
            "branches": {name: self.passed[name] for name in failpoints.BRANCHES},
            "branches_only_without": self.only_without,
            "longest_to_rest_s": round(self.longest_to_rest, 1),
            "violations": self.violations,
        }


def _share(names: tuple[str, ...], missing: list[str]) -> Mapping[str, Any]:
    return {"of": len(names), "reached": len(names) - len(missing), "missing": missing}
