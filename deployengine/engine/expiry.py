"""Expiry: what has not begun by a certain time never begins."""

from __future__ import annotations

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.engine.ports import Clock
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord


def expire(tx: Transaction, clock: Clock, deployment: DeploymentRecord) -> bool:
    """Ends a deployment whose time to begin is over; whether this call did it."""
    now = clock.now()
    if deployment.expires_at is None or deployment.expires_at > now:
        return False
    said = f"not begun by {deployment.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    if not tx.deployments.give_up(deployment.id, DeploymentState.CANCELLED, said, now):
        return False  # it has begun
    tx.runs.give_up_pending(deployment.id, RunState.CANCELLED, now)
    return True
