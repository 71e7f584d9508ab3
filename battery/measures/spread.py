"""Spread: what many samples of one thing come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds, in ascending order; ranks are nearest ranks, so a p99 of fewer than 100 is the max.

    At least one sample.
    """

    seconds: Sequence[float]

    @classmethod
    def of(cls, samples: Iterable[float]) -> Spread:
        """Of samples in any order."""
        return cls(tuple(sorted(samples)))

    def rank(self, percent: int) -> float:
        """The smallest sample that so many percent of all do not exceed."""
        return self.seconds[max(-(-len(self.seconds) * percent // 100), 1) - 1]

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "n": len(self.seconds),
            "p50": round(self.rank(50), 3),
            "p99": round(self.rank(99), 3),
            "max": round(self.seconds[-1], 3),
        }
