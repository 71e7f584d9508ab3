"""Requests: what a command said that it has done is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from battery.case import Case, set_right
from benchmarks.violation import Violation


def forgotten(case: Case) -> Iterator[Violation]:
    """Cancels and deployments by hand that came to nothing though their command succeeded."""
    yield from _not_cancelled(case)
    yield from _not_deployed(case)


def _not_cancelled(case: Case) -> Iterator[Violation]:
    for request in case.ledger.done("deployment", "cancel"):
        deployment = case.deployments[int(request.words[2].removeprefix("dep-"))]
        if deployment.finished is None or request.ended is None:
            continue
        finished = set_right(deployment.finished, request.ended)
        if deployment.state != "cancelled" and finished > request.ended:
            message = f"dep-{deployment.id} was cancelled and is {deployment.state}"
            yield Violation("request", message)


def _not_deployed(case: Case) -> Iterator[Violation]:
    """A command that was killed and given again may have made two; each granted one made one."""
    there = Counter(
        (d.project, d.version, d.environment) for d in case.deployments.values() if not d.automatic
    )
    asked = Counter(request.words[2:5] for request in case.ledger.done("release", "deploy"))
    for (project, version, environment), times in asked.items():
        if (found := there[project, version, environment]) < times:
            message = f"{project} {version} → {environment}: asked {times} times, there {found}"
            yield Violation("request", message)
