"""Priorities: who has a higher one is not overtaken, and a grant that was taken back is void."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from battery.case import Case
from benchmarks.evidence import Run as Row
from benchmarks.times import spans
from benchmarks.violation import Violation

#: Seconds by which a run may be in line later than it says: who readied it was stopped meanwhile.
SLACK = 3.0


def void_grants(case: Case) -> Iterator[Violation]:
    """A script that began under a grant that had been taken back."""
    for run in case.runs:
        if run.recalled and run.name in case.evidence.stamps:
            message = f"{run.name} ran under a grant that had been taken back"
            yield Violation("recalled", message, run.machine)


def overtaken(case: Case) -> Iterator[Violation]:
    """A run that was claimed while a conflicting one with an earlier ticket was in line there.

    Only of different priorities, which the order of tickets alone does not tell of.
    """
    times, source = spans(case.evidence)
    if source != "stamps":
        return
    by_machine: defaultdict[str, list[Row]] = defaultdict(list)
    for run in case.evidence.runs.values():
        if run.name in times and run.ticket is not None:
            by_machine[run.machine].append(run)
    for runs in by_machine.values():
        runs.sort(key=lambda run: times[run.name].begin)
        for before, after in combinations(runs, 2):
            if before.priority != after.priority and _passed(case, before, after):
                message = f"{before.name} (priority {before.priority}) was claimed while"
                message += f" {after.name} (priority {after.priority}) was in line"
                yield Violation("priority", message, before.machine)


def _passed(case: Case, before: Row, after: Row) -> bool:
    if before.ticket is None or after.ticket is None or before.ticket < after.ticket:
        return False
    if "exclusive" not in (before.mode, after.mode):
        return False
    if before.started is None or after.ready is None:
        return False
    return case.right(after.ready) + SLACK < case.right(before.started)
