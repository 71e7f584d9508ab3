"""Promotion: the next phase begins in the transaction that records the success before it."""

from __future__ import annotations

from deployengine.domain.errors import RequestError
from deployengine.domain.plan import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.deployments import Planner, enqueue, fail, new_deployment
from deployengine.engine.ports import Clock
from deployengine.persistence import Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import DeploymentRecord


def promote(
    tx: Transaction,
    succeeded: DeploymentRecord,
    before: set[str],
    archive: Archive,
    clock: Clock,
    unseal: Unseal,
) -> tuple[list[DeploymentRecord], list[str]]:
    """Queues the deployments that this success opens by itself, and says which it did not and why.

    ``before`` is where the release had succeeded without this. Happens exactly once: a success in
    an environment where the release had succeeded before opens nothing, and a release is promoted
    to an environment once. Never puts an older release over a newer one.
    """
    release = tx.releases.get(succeeded.release_id)
    assert release is not None
    snapshot = archive.snapshot(tx, release.snapshot_id)
    environments = snapshot.lifecycle.automatic_after(succeeded.environment, before)
    if not environments or tx.batches.cancelled(succeeded.release_id):
        return [], []
    tx.counters.lock(TICKET)  # a newer release is seen here, or gets its ticket after this one
    planner = Planner.from_catalog(tx, unseal)
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
            planned = planner.plan(snapshot, environment)
        except RequestError as error:
            # Stored as a deployment that failed, so that nobody takes the release for arrived.
            fail(tx, snapshot, release, environment, str(error), clock)
            continue
        new = new_deployment(snapshot, release, environment, planned, automatic=True)
        queued.append(enqueue(tx, new, clock))
    return queued, held
