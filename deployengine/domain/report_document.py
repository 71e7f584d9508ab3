"""A report as the document that ``--json`` prints; its keys are a contract."""

from __future__ import annotations

from typing import Any

from deployengine.domain.bounds import Bound
from deployengine.domain.report_facts import RunFacts
from deployengine.domain.report_values import EnvironmentSummary, Failure, Report, Waits


def to_document(report: Report) -> dict[str, Any]:
    """The report without its runs, ready for JSON; seconds to the microsecond."""
    return {
        "name": report.name,
        "task_cap": report.task_cap,
        "makespan_seconds": _rounded(report.makespan_seconds),
        "lower_bound_seconds": _rounded(report.lower_bound_seconds),
        "lower_bound": _bound_document(report.bound),
        "ratio": _rounded(report.ratio),
        "waits": _waits_document(report.waits),
        "running_seconds": _rounded(report.running_seconds),
        "utilisation": _rounded(report.utilisation),
        "counts": {
            "releases": {s.value: n for s, n in report.counts.releases.items()},
            "deployments": {s.value: n for s, n in report.counts.deployments.items()},
            "runs": {s.value: n for s, n in report.counts.runs.items()},
        },
        "slowest": [_run_document(run) for run in report.slowest],
        "failures": [_failure_document(failure) for failure in report.failures],
        "environments": [_environment_document(each) for each in report.environments],
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)


def _bound_document(bound: Bound | None) -> dict[str, Any] | None:
    if bound is None:
        return None
    return {
        "limit": bound.limit.value,
        "name": bound.name,
        "before_seconds": _rounded(bound.before),
        "work_seconds": _rounded(bound.work),
        "after_seconds": _rounded(bound.after),
    }


def _waits_document(waits: Waits) -> dict[str, float | None]:
    return {
        "machine_seconds": _rounded(waits.machine_seconds),
        "tag_seconds": _rounded(waits.tag_seconds),
        "task_cap_seconds": _rounded(waits.task_cap_seconds),
    }


def _run_document(run: RunFacts) -> dict[str, Any]:
    return {
        "run": run.run,
        "project": run.project,
        "version": run.version,
        "environment": run.environment,
        "step": run.step,
        "machine": run.machine,
        "attempt": run.attempt,
        "state": run.state.value,
        "running_seconds": _rounded(run.running_seconds),
        "machine_seconds": _rounded(run.machine_seconds),
        "task_cap_seconds": _rounded(run.task_cap_seconds),
    }


def _failure_document(failure: Failure) -> dict[str, Any]:
    run, deployment = failure.run, failure.deployment
    return {
        "deployment": deployment.id,
        "project": deployment.project,
        "version": deployment.version,
        "environment": deployment.environment,
        "run": run.run if run else None,
        "step": run.step if run else None,
        "machine": run.machine if run else None,
        "attempt": run.attempt if run else None,
        "state": run.state.value if run else deployment.state.value,
        "exit_code": run.exit_code if run else None,
        "message": failure.message,
        "recovered": failure.recovered,
        "last_lines": list(run.last_lines) if run else [],
    }


def _environment_document(each: EnvironmentSummary) -> dict[str, Any]:
    return {
        "environment": each.environment,
        "deployments": each.deployments,
        "machines": each.machines,
        "runs": each.runs,
        "failed": each.failed,
        "running_seconds": _rounded(each.running_seconds),
        "waits": _waits_document(each.waits),
    }
