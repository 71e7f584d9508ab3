"""Promotion: the next phase begins in the transaction that records the success before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployengine.domain.errors import RequestError
from deployengine.domain.planning import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.intake import BY_ITSELF, Intake
from deployengine.engine.ports import Clock
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord


@dataclass(frozen=True, slots=True)
class Promotion:
    """Deployments that were queued, environments where none was and why, and ids of those that
    had to make room.
    """

    queued: Sequence[DeploymentRecord] = ()
    held: Sequence[str] = ()
    superseded: Sequence[str] = ()


def promote(
    tx: Transaction,
    succeeded: DeploymentRecord,
    before: set[str],
    archive: Archive,
    clock: Clock,
    unseal: Unseal,
) -> Promotion:
    """Queues the deployments that this success opens by itself.

    ``before`` is where the release had succeeded without this. Happens exactly once: a success in
    an environment where the release had succeeded before opens nothing, and a release is promoted
    to an environment once. Never puts an older release over a newer one: not over one that has
    begun there, and one that begins before it makes it leave the line
    (:meth:`~deployengine.engine.phases.Phases.begin`).
    """
    release = tx.releases.get(succeeded.release_id)
    assert release is not None
    snapshot = archive.snapshot(tx, release.snapshot_id)
    environments = snapshot.lifecycle.automatic_after(succeeded.environment, before)
    if not environments or tx.batches.cancelled(succeeded.release_id):
        return Promotion()
    if release.blocked_at is not None:
        said = f"kept from {' and '.join(environments)} by {release.blocked_by}"
        return Promotion(held=[f"{said}: {release.blocked_reason}"])
    intake = Intake(tx, clock, unseal)
    intake.superseding.reserve([succeeded.project])
    queued, held = [], []
    for environment in environments:
        newer = tx.deployments.newer_release_in(
            succeeded.project, environment, succeeded.release_id
        )
        if newer is not None:
            held.append(f"not promoted to {environment}: the newer release {newer} is there")
            continue
        if tx.deployments.was_started_by_itself(succeeded.release_id, environment):
            continue
        try:
            planned = intake.plan(snapshot, environment, BY_ITSELF)
        except RequestError as error:
            # Stored as a deployment that failed, so that nobody takes the release for arrived.
            intake.fail(snapshot, release, environment, str(error))
            continue
        queued.append(intake.queue(snapshot, release, environment, planned, BY_ITSELF))
    return Promotion(queued, held, intake.superseding.ended)
