"""Holds: machines that a deployment keeps from its first step to its last."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, and_, delete, insert, select

from deployengine.domain.admission import Claim
from deployengine.domain.plan import ELSEWHERE, MACHINE
from deployengine.persistence.clash import clash
from deployengine.persistence.schema import deployment, deployment_hold, run_touch, step_run

#: A deployment has them from when it begins until it ends or stands aside.
IN_FORCE = and_(
    deployment.c.state.in_(("running", "paused")),
    deployment.c.ticket.is_not(None),
)


class Holds:
    """What deployments hold as a whole; most hold nothing so."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, deployment_id: int, claims: Sequence[Claim]) -> None:
        """Notes what a deployment will hold."""
        rows = [
            {"deployment_id": deployment_id, "resource": c.resource, "mode": c.mode.value}
            for c in claims
        ]
        if rows:
            self._connection.execute(insert(deployment_hold), rows)

    def of(self, deployment_id: int) -> list[str]:
        """The resources that a deployment is to hold, or holds."""
        query = select(deployment_hold.c.resource).where(
            deployment_hold.c.deployment_id == deployment_id
        )
        return list(self._connection.execute(query).scalars())

    def kept_from(self, deployment_id: int) -> bool:
        """Whether somebody has what this deployment is to hold: a run, or another deployment."""
        return any(
            self._connection.execute(query.limit(1)).first() is not None
            for query in (*self._runs(deployment_id), self._others(deployment_id))
        )

    def held_by_others(self, run_id: int) -> bool:
        """Whether another deployment holds the machine of this run, or what it touches."""
        machine = (
            select(deployment_hold.c.deployment_id)
            .join(deployment, deployment.c.id == deployment_hold.c.deployment_id)
            .join(step_run, deployment_hold.c.resource == MACHINE + step_run.c.machine)
            .where(
                step_run.c.id == run_id,
                step_run.c.lock_mode != ELSEWHERE,
                deployment_hold.c.deployment_id != step_run.c.deployment_id,
                IN_FORCE,
                clash(deployment_hold.c.mode, step_run.c.lock_mode),
            )
        )
        touched = (
            select(deployment_hold.c.deployment_id)
            .join(deployment, deployment.c.id == deployment_hold.c.deployment_id)
            .join(run_touch, deployment_hold.c.resource == run_touch.c.resource)
            .join(step_run, step_run.c.id == run_touch.c.run_id)
            .where(
                step_run.c.id == run_id,
                deployment_hold.c.deployment_id != step_run.c.deployment_id,
                IN_FORCE,
                clash(deployment_hold.c.mode, run_touch.c.mode),
            )
        )
        return any(
            self._connection.execute(query.limit(1)).first() is not None
            for query in (machine, touched)
        )

    def drop(self, deployment_id: int) -> None:
        """Forgets what a deployment that has ended was to hold."""
        statement = delete(deployment_hold).where(deployment_hold.c.deployment_id == deployment_id)
        self._connection.execute(statement)

    def _runs(self, deployment_id: int) -> tuple[Select[tuple[int]], Select[tuple[int]]]:
        """Runs of others on a machine that it is to hold, and such that touch what it is to."""
        own = deployment_hold
        running = select(step_run.c.id).where(
            own.c.deployment_id == deployment_id,
            step_run.c.deployment_id != deployment_id,
            step_run.c.state == "running",
        )
        on_machine = running.join(own, own.c.resource == MACHINE + step_run.c.machine).where(
            clash(own.c.mode, step_run.c.lock_mode),
            step_run.c.lock_mode != ELSEWHERE,
        )
        touching = (
            running.join(run_touch, run_touch.c.run_id == step_run.c.id)
            .join(own, own.c.resource == run_touch.c.resource)
            .where(clash(own.c.mode, run_touch.c.mode))
        )
        return on_machine, touching

    def _others(self, deployment_id: int) -> Select[tuple[int]]:
        own, other = deployment_hold.alias("own"), deployment_hold.alias("other")
        return (
            select(other.c.deployment_id)
            .join(own, own.c.resource == other.c.resource)
            .join(deployment, deployment.c.id == other.c.deployment_id)
            .where(
                own.c.deployment_id == deployment_id,
                other.c.deployment_id != deployment_id,
                IN_FORCE,
                clash(own.c.mode, other.c.mode),
            )
        )
