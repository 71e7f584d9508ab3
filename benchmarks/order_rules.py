"""Rules across machines, which need times and not only the order of lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from benchmarks.evidence import Evidence, Run
from benchmarks.times import Span
from benchmarks.violation import Violation


@dataclass(frozen=True, slots=True)
class _Extent:
    """From the first begin to the last end of some runs."""

    first: Run
    last: Run
    span: Span


def phases_broken(evidence: Evidence, times: Mapping[str, Span]) -> Iterator[Violation]:
    """A release that began in an environment before it had ended in an earlier one.

    Only deployments that the lifecycle made by itself: people may deploy as they please.
    """
    rank = {name: place for place, name in enumerate(evidence.environments)}
    groups: defaultdict[tuple[str, str], defaultdict[str, list[Run]]]
    groups = defaultdict(lambda: defaultdict(list))
    for run in evidence.runs.values():
        if run.automatic and run.name in times and run.environment in rank:
            groups[run.project, run.version][run.environment].append(run)
    for by_environment in groups.values():
        ordered = sorted(by_environment, key=lambda name: rank[name])
        extents = [_extent(by_environment[name], times) for name in ordered]
        for earlier, later in combinations(extents, 2):
            if later.span.begin < earlier.span.end:
                message = f"{later.first.name} ({later.first.words}) began before"
                message += f" {earlier.last.name} ({earlier.last.words}) ended"
                yield Violation("phase order", message, later.first.machine)


def tags_broken(evidence: Evidence, times: Mapping[str, Span]) -> Iterator[Violation]:
    """Two deployments under one tag (a project in an environment) that ran at the same time.

    While one waits for people it may have given its tag up: what it does before and after that are
    two stretches.
    """
    rests = {deployment.id: deployment.rests for deployment in evidence.deployments}
    groups: defaultdict[str, defaultdict[tuple[int, int], list[Run]]]
    groups = defaultdict(lambda: defaultdict(list))
    for run in evidence.runs.values():
        if run.name in times:
            stretch = sum(position < run.position for position in rests[run.deployment])
            groups[run.tag][run.deployment, stretch].append(run)
    for tag, by_stretch in groups.items():
        extents = sorted(
            (_extent(runs, times) for runs in by_stretch.values()), key=lambda e: e.span.begin
        )
        for place, one in enumerate(extents):
            for other in extents[place + 1 :]:
                if other.span.begin >= one.span.end:
                    break
                message = f"{tag}: {other.first.name} ({other.first.words}) began before"
                message += f" {one.last.name} ({one.last.words}) ended"
                yield Violation("tag", message, other.first.machine)


def cap_broken(times: Mapping[str, Span], task_cap: int | None) -> Iterator[Violation]:
    """More scripts at once than the task cap allows."""
    most = peak(times.values())
    if task_cap is not None and most > task_cap:
        yield Violation("task cap", f"{most} scripts ran at once, the task cap is {task_cap}")


def peak(spans: Iterable[Span]) -> int:
    """The most spans at one moment; one that ends as another begins does not overlap it."""
    changes = sorted(change for span in spans for change in ((span.begin, 1), (span.end, -1)))
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _extent(runs: Iterable[Run], times: Mapping[str, Span]) -> _Extent:
    runs = list(runs)
    first = min(runs, key=lambda run: times[run.name].begin)
    last = max(runs, key=lambda run: times[run.name].end)
    return _Extent(first, last, Span(times[first.name].begin, times[last.name].end))
