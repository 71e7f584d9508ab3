"""Many rounds as one: what was done, what was reached, what was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from battery.round import Outcome
from deployengine import failpoints


@dataclass
class Campaign:
    """The sum of rounds. Nothing is missing when every failpoint killed and every branch ran."""

    seed: str
    rounds: int = 0
    seconds: float = 0.0
    releases: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    killed_at: Counter[str] = field(default_factory=Counter)
    impossible: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    longest_to_rest: float = 0.0
    databases: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One more round."""
        self.rounds += 1
        self.seconds += outcome.seconds
        self.releases += outcome.releases
        self.faults.update(outcome.faults)
        self.passed.update(outcome.traced)
        self.killed_at.update(outcome.killed_at)
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
        """The kinds that could be injected in no round, and why."""
        return {kind: why for kind, why in self.impossible.items() if not self.faults[kind]}

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

    def complaints(self, least: int) -> list[str]:
        """Why this campaign proves nothing, or proves the engine wrong; empty for a good one."""
        said = []
        if self.violations:
            said.append(f"{len(self.violations)} rules broken")
        if self.injected < least:
            said.append(f"{self.injected} faults injected, at least {least} are wanted")
        for what, names in (
            ("failpoints were not passed", self.not_passed),
            ("failpoints killed nobody", self.never_killed),
            ("branches were not taken", self.never_taken),
            ("kinds of fault could not be injected", list(self.not_injected)),
        ):
            if names:
                said.append(f"{len(names)} {what}: {', '.join(names)}")
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
            "not_injected": self.not_injected,
            "failpoints": _share(failpoints.POINTS, self.not_passed),
            "failpoints_that_killed": _share(failpoints.POINTS, self.never_killed),
            "branches": {name: self.passed[name] for name in failpoints.BRANCHES},
            "longest_to_rest_s": round(self.longest_to_rest, 1),
            "violations": self.violations,
        }


def _share(names: tuple[str, ...], missing: list[str]) -> Mapping[str, Any]:
    return {"of": len(names), "reached": len(names) - len(missing), "missing": missing}
