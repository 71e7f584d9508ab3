"""How long a machine stands idle between two scripts, where only the engine is to blame."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from benchmarks.evidence import Evidence, Run
from benchmarks.times import Span


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, one after the other on one machine, and the seconds between them."""

    before: Run
    after: Run
    seconds: float


def handoffs(
    evidence: Evidence, spans: Mapping[str, Span], slots: Mapping[str, Span], task_cap: int
) -> list[Pair]:
    """The pairs of which the second had been waiting for that machine, and a slot was free.

    ``spans`` are what is measured between; ``slots`` when each run took a slot. A pair counts if,
    from the first one's end to the second one's claim, all others never took all slots.
    """
    load = _Load(slots.values())
    pairs = []
    for runs in _by_machine(evidence, spans):
        for before, after in pairwise(runs):
            end = spans[before.name].end
            waited = after.ready is not None and after.ready < end
            # The first one's own slot is no obstacle: it is about to come free.
            free, claim = slots[before.name].end, slots[after.name].begin
            others = max(load.most(end, min(free, claim)) - 1, load.most(free, claim))
            if waited and others < task_cap:
                pairs.append(Pair(before, after, spans[after.name].begin - end))
    return pairs


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Milliseconds: the median, the 99th percentile (nearest rank) and the longest."""
    sample = sorted(pair.seconds * 1000 for pair in pairs)
    if not sample:
        return {"pairs": 0}
    return {
        "pairs": len(sample),
        "p50": round(_rank(sample, 50), 2),
        "p99": round(_rank(sample, 99), 2),
        "max": round(sample[-1], 2),
    }


def _rank(sample: Sequence[float], percent: int) -> float:
    return sample[-(-len(sample) * percent // 100) - 1]


def _by_machine(evidence: Evidence, spans: Mapping[str, Span]) -> Iterable[Sequence[Run]]:
    machines: defaultdict[str, list[Run]] = defaultdict(list)
    for run in evidence.runs.values():
        if run.name in spans:
            machines[run.machine].append(run)
    for runs in machines.values():
        yield sorted(runs, key=lambda run: spans[run.name].begin)


class _Load:
    """How many slots were taken, from change to change."""

    def __init__(self, spans: Iterable[Span]) -> None:
        changes = sorted(c for span in spans for c in ((span.begin, 1), (span.end, -1)))
        self._at = [at for at, _ in changes]
        self._level = list(accumulate(step for _, step in changes))

    def most(self, begin: float, end: float) -> int:
        """The highest level from ``begin`` on, and before ``end``; 0 for no time at all."""
        if begin >= end:
            return 0
        first, beyond = bisect_right(self._at, begin) - 1, bisect_left(self._at, end)
        return max(self._level[max(first, 0) : beyond], default=0)
