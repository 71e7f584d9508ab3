"""Records as the documents that ``--json`` prints; their keys are a contract."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deployengine.domain.identity import deployment_id, release_id, run_id
from deployengine.engine.batches import BatchProgress, ReleaseProgress
from deployengine.engine.queries import DeploymentDetail
from deployengine.engine.waits import Wait
from deployengine.locks import HolderView, ResourceView, WaiterView
from deployengine.persistence.records import DeploymentRecord, RunRecord

if TYPE_CHECKING:
    from deployengine.catalog import Difference


def instant(moment: datetime | None) -> str | None:
    """UTC, ISO 8601, always with microseconds."""
    return None if moment is None else moment.isoformat(timespec="microseconds")


def deployment_document(deployment: DeploymentRecord) -> dict[str, Any]:
    """A deployment without its runs."""
    return {
        "id": deployment_id(deployment.id),
        "release": release_id(deployment.release_id),
        "project": deployment.project,
        "version": deployment.version,
        "environment": deployment.environment,
        "phase": deployment.phase,
        "state": deployment.state.value,
        "automatic": deployment.automatic,
        "priority": deployment.priority,
        "guided": deployment.guided,
        "requested_by": deployment.requested_by,
        "not_before": instant(deployment.not_before),
        "expires_at": instant(deployment.expires_at),
        "frozen_by": deployment.frozen_by,
        "without": dict(deployment.without),
        "message": deployment.message,
        "created_at": instant(deployment.created_at),
        "started_at": instant(deployment.started_at),
        "finished_at": instant(deployment.finished_at),
    }


def run_document(run: RunRecord, detail: DeploymentDetail) -> dict[str, Any]:
    """A step run of a deployment."""
    return {
        "id": run_id(run.id),
        "step": detail.steps[run.step],
        "machine": run.machine,
        "runs_on": detail.runs_on.get(run.id),
        "attempt": run.attempt,
        "state": run.state.value,
        "exit_code": run.exit_code,
        "message": run.message,
        "lock_mode": run.lock_mode,
        "worker": run.worker,
        "ready_at": instant(run.ready_at),
        "granted_at": instant(run.granted_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "asked_at": instant(run.asked_at),
        "answered_at": instant(run.answered_at),
        "answer": run.answer,
    }


def detail_document(detail: DeploymentDetail) -> dict[str, Any]:
    """A deployment with its runs."""
    return {
        **deployment_document(detail.deployment),
        "step_runs": [run_document(run, detail) for run in detail.runs],
    }


def release_document(progress: ReleaseProgress) -> dict[str, Any]:
    """A release and where it has come."""
    return {
        "id": release_id(progress.release.id),
        "project": progress.release.project,
        "version": progress.release.version,
        "channel": progress.release.channel,
        "state": progress.state.value,
        "created_at": instant(progress.release.created_at),
        "blocked_by": progress.release.blocked_by,
        "blocked_reason": progress.release.blocked_reason,
        "deployments": [
            {"id": deployment_id(d.id), "environment": d.environment, "state": d.state.value}
            for d in progress.deployments
        ],
    }


def batch_document(progress: BatchProgress) -> dict[str, Any]:
    """A batch without its report."""
    return {
        **batch_summary(progress),
        "releases": [release_document(r) for r in progress.releases],
    }


def batch_summary(progress: BatchProgress) -> dict[str, Any]:
    """A batch without its releases."""
    return {
        "name": progress.batch.name,
        "state": progress.state.value,
        "counts": dict(Counter(r.state.value for r in progress.releases)),
        "removed": progress.removed,
        "created_at": instant(progress.batch.created_at),
        "cancelled_at": instant(progress.batch.cancelled_at),
    }


def difference_document(found: Difference) -> dict[str, Any]:
    """What applying a catalog changes; secrets are masked in it."""
    return {
        "changed_anything": not found.is_empty,
        **found.to_document(),
        "unchanged": found.unchanged,
    }


def wait_document(wait: Wait) -> dict[str, Any]:
    """One reason of ``why``."""
    return {
        "run": wait.run,
        "label": wait.label,
        "waits_for": wait.waits_for,
        "reason": wait.reason.value,
        "holders": [_holder(h) for h in wait.holders],
        "position": wait.position,
        "expected_start": instant(wait.expected_start),
        "behind": _waiter(wait.behind) if wait.behind else None,
    }


def resource_document(view: ResourceView) -> dict[str, Any]:
    """One resource of ``locks``."""
    return {
        "resource": view.resource,
        "holders": [_holder(h) for h in view.holders],
        "waiters": [_waiter(w) for w in view.waiters],
    }


def _waiter(waiter: WaiterView) -> dict[str, Any]:
    return {
        "run": waiter.id,
        "label": waiter.label,
        "mode": waiter.mode.value,
        "since": instant(waiter.since),
        "position": waiter.position,
    }


def _holder(holder: HolderView) -> dict[str, Any]:
    return {
        "run": holder.id,
        "label": holder.label,
        "mode": holder.mode.value,
        "since": instant(holder.since),
    }
