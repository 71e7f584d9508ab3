"""Times: nothing before its time, nothing in a freeze, and a schedule's time is taken once.

Who looks at the clock is a process whose own may be an hour wrong; where that could be, nothing is
said of an hour. A minute is the same minute on such a clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from battery import scenario
from battery.case import Case, Deployment
from benchmarks.times import spans
from benchmarks.violation import Violation

MINUTE = 60
WRONG_CLOCK = "clock of a process wrong by an hour"
AT, OVERRIDE, SCHEDULE = "--at", "--override-freeze", "schedule "
#: Seconds by which somebody may look at a schedule late.
LATE = 10.0


def out_of_time(case: Case) -> Iterator[Violation]:
    """Every breach of these."""
    yield from _too_early(case)
    yield from _never_at_its_time(case)
    yield from _in_a_freeze(case)
    yield from _scheduled_twice(case)


def _too_early(case: Case) -> Iterator[Violation]:
    """A script that began before the time from which its deployment may begin."""
    times, source = spans(case.evidence)
    wrong_clocks = any(True for _ in case.ledger.of(WRONG_CLOCK))
    for run in case.runs if source == "stamps" and not wrong_clocks else ():
        earliest = case.deployments[run.deployment].not_before
        if run.name in times and earliest is not None and times[run.name].begin < earliest:
            early = earliest - times[run.name].begin
            yield Violation("too early", f"{run.name} began {early:.2f} s too early", run.machine)


def _never_at_its_time(case: Case) -> Iterator[Violation]:
    """A deployment that was granted for a time, and none of that time is there."""
    for request in case.ledger.done("release", "deploy"):
        if AT not in request.words:
            continue
        project, version, environment = request.words[2:5]
        wait = float(request.words[request.words.index(AT) + 1].strip("+s"))
        if not any(
            (d.project, d.version, d.environment) == (project, version, environment)
            and d.not_before is not None
            and d.not_before >= request.begun + wait
            for d in case.deployments.values()
        ):
            message = f"{project} {version} → {environment} is there for no such time"
            yield Violation("too early", message)


def _in_a_freeze(case: Case) -> Iterator[Violation]:
    """A deployment that began in the first seconds of a minute though those are frozen."""
    for deployment in case.deployments.values():
        if deployment.project != scenario.FROZEN or deployment.started is None:
            continue
        second = deployment.started % MINUTE
        if second < scenario.FROZEN_SECONDS and not _may_override(case, deployment):
            message = f"{deployment.label} began at second {second:.3f} of a minute"
            yield Violation("freeze", message)


def _may_override(case: Case, deployment: Deployment) -> bool:
    asked = case.ledger.asked_for("release", "deploy", deployment.project, deployment.version)
    return not deployment.automatic and any(OVERRIDE in request.words for request in asked)


def _scheduled_twice(case: Case) -> Iterator[Violation]:
    """More deployments of a schedule than minutes had begun by then."""
    created = [d.created for d in case.deployments.values() if d.created is not None]
    if not created or any(True for _ in case.ledger.of(WRONG_CLOCK)):
        return
    first = (min(created) - LATE) // MINUTE
    by_schedule: defaultdict[str, list[float]] = defaultdict(list)
    for deployment in case.deployments.values():
        if deployment.requested_by.startswith(SCHEDULE) and deployment.created is not None:
            by_schedule[deployment.requested_by].append(deployment.created)
    for schedule, times in by_schedule.items():
        for count, instant in enumerate(sorted(times), 1):
            if count > (begun := instant // MINUTE - first):
                message = f"{schedule}: {count} deployments when {begun:.0f} minutes had begun"
                yield Violation("scheduled twice", message)
