"""Whatever is claimed beside the machine's mutex: named resources, limits of a machine, shares.

The machine's mutex itself is judged by the order of the lines in its journal; resources may be one
for all machines, so here the scripts' stamps tell. Stamps lie around a script's lines and within
its process, so that what is lawful cannot overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from battery import scenario
from battery.case import Case
from benchmarks.order_rules import peak
from benchmarks.times import Span, spans
from benchmarks.violation import Violation


def clashes(case: Case) -> Iterator[Violation]:
    """Two scripts that held one resource at the same time though one of them wanted it alone."""
    times, source = spans(case.evidence)
    if source != "stamps":
        return
    users: defaultdict[str, list[tuple[Span, str, str]]] = defaultdict(list)
    limits: dict[str, int] = {}
    for run in case.runs:
        if run.name not in times:
            continue
        for resource, mode, limit in run.claims:
            users[resource].append((times[run.name], mode, run.name))
            if limit is not None:
                limits[resource] = limit
    for resource, used in users.items():
        yield from _overlaps(resource, sorted(used, key=lambda use: use[0].begin))
        shared = peak(span for span, mode, _ in used if mode == "shared")
        if resource in limits and shared > limits[resource]:
            message = f"{resource}: {shared} at once, at most {limits[resource]} may share it"
            yield Violation("limit", message)


def shares(case: Case) -> Iterator[Violation]:
    """More scripts at once in an environment than the catalog allows there."""
    times, source = spans(case.evidence)
    for environment, limit in scenario.SHARES.items() if source == "stamps" else ():
        at_once = peak(
            times[run.name]
            for run in case.runs
            if run.name in times and case.deployments[run.deployment].environment == environment
        )
        if at_once > limit:
            message = f"{environment}: {at_once} scripts at once, at most {limit}"
            yield Violation("share", message)


def _overlaps(resource: str, used: list[tuple[Span, str, str]]) -> Iterator[Violation]:
    for place, (span, mode, name) in enumerate(used):
        for later, its_mode, other in used[place + 1 :]:
            if later.begin >= span.end:
                break
            if "exclusive" in (mode, its_mode):
                message = f"{other} ({its_mode}) began while {name} ({mode}) had {resource}"
                yield Violation("resource", message)
