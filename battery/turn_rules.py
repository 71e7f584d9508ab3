"""Turns: no script before its stage, out of its lane's order, beside its window, or unapproved.

Stages, lanes and windows are read from the catalog as the battery wrote it, and when a script ran
from its own stamps.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from battery.case import Case, Run
from benchmarks.order_rules import peak
from benchmarks.times import Span, spans
from benchmarks.violation import Violation

Scripts = list[tuple[Span, Run]]


def out_of_turn(case: Case) -> Iterator[Violation]:
    """Every breach of these, by deployment."""
    times, source = spans(case.evidence)
    if source != "stamps":
        return
    by_deployment: defaultdict[int, Scripts] = defaultdict(list)
    for run in case.runs:
        if run.name in times:
            by_deployment[run.deployment].append((times[run.name], run))
    manual: defaultdict[int, list[Run]] = defaultdict(list)
    for run in case.runs:
        if case.policy(run).manual:
            manual[run.deployment].append(run)
    for number, scripts in by_deployment.items():
        yield from _stages(case, scripts)
        for lanes in _tracks(case, scripts).values():
            yield from _lanes(lanes.values())
            yield from _window(case, list(lanes.values()))
        yield from _unapproved(case, scripts, manual[number])


def _stages(case: Case, scripts: Scripts) -> Iterator[Violation]:
    """A script that began before all scripts of its deployment's earlier stage had ended."""
    stages: defaultdict[int, Scripts] = defaultdict(list)
    for span, run in scripts:
        stages[case.policy(run).stage].append((span, run))
    for earlier, later in pairwise(sorted(stages)):
        yield from _before(stages[earlier], stages[later])


def _tracks(case: Case, scripts: Scripts) -> Mapping[int, Mapping[str, Scripts]]:
    """By track and machine: the lanes."""
    found: defaultdict[int, defaultdict[str, Scripts]] = defaultdict(lambda: defaultdict(list))
    for span, run in scripts:
        found[case.policy(run).track][run.machine].append((span, run))
    return found


def _lanes(lanes: Iterable[Scripts]) -> Iterator[Violation]:
    """A script that began before one of an earlier step on its machine had ended."""
    for lane in lanes:
        steps: defaultdict[int, Scripts] = defaultdict(list)
        for span, run in lane:
            steps[run.step].append((span, run))
        for earlier, later in pairwise(sorted(steps)):
            yield from _before(steps[earlier], steps[later])


def _before(earlier: Scripts, later: Scripts) -> Iterator[Violation]:
    last, before = max(earlier, key=lambda each: each[0].end)
    first, after = min(later, key=lambda each: each[0].begin)
    if first.begin < last.end:
        message = f"{after.name} (step {after.step + 1}) began before {before.name} had ended"
        yield Violation("step order", message, after.machine)


def _window(case: Case, lanes: list[Scripts]) -> Iterator[Violation]:
    """More machines of a track under way at once than its window; from a lane's first begin to its
    last end, whatever it waits for meanwhile.
    """
    run = lanes[0][0][1]
    window = case.policy(run).window
    under_way = peak(
        Span(min(span.begin for span, _ in lane), max(span.end for span, _ in lane))
        for lane in lanes
    )
    if window is not None and under_way > window:
        label = case.deployments[run.deployment].label
        yield Violation("window", f"{label}: {under_way} machines at once, at most {window}")


def _unapproved(case: Case, scripts: Scripts, manual: list[Run]) -> Iterator[Violation]:
    """A script after a manual step that began before somebody said that it may proceed."""
    for asking in manual:
        stage = case.policy(asking).stage
        answer = case.ledger.answer_to(asking.name)
        proceed = case.ledger.said_to(asking.name) == "proceed"
        agreed = answer.begun if answer is not None and proceed else math.inf
        for span, run in scripts:
            if case.policy(run).stage > stage and span.begin < agreed:
                message = f"{run.name} began without a word on {asking.name}"
                yield Violation("approval", message, run.machine)
