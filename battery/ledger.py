"""What was done to the engine, by whom, when: the only excuse that the judge accepts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Injected:
    """One fault; times are of the wall clock, ``lifted`` is ``None`` while it lasts."""

    kind: str
    target: str
    detail: str
    begun: float
    lifted: float | None = None


@dataclass
class Ledger:
    """Everything that was injected, and what happened that nobody injected."""

    faults: list[Injected] = field(default_factory=list)
    #: Processes that ended by themselves, commands that never succeeded.
    surprises: list[str] = field(default_factory=list)
    #: What could not be injected here, and why.
    impossible: dict[str, str] = field(default_factory=dict)
    #: Failpoints at which a process was killed.
    killed_at: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, target: str = "", detail: str = "") -> Injected:
        """Puts a fault on record."""
        fault = Injected(kind, target, detail, time.time())
        self.faults.append(fault)
        return fault

    def of(self, *kinds: str) -> Iterator[Injected]:
        """The faults of these kinds."""
        return (fault for fault in self.faults if fault.kind in kinds)

    def targets(self, *kinds: str) -> set[str]:
        """What the faults of these kinds hit."""
        return {fault.target for fault in self.of(*kinds)}

    def by_kind(self) -> dict[str, int]:
        """How many of each."""
        return dict(sorted(Counter(fault.kind for fault in self.faults).items()))
