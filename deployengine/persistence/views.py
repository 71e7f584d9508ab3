"""Read-only summaries that would cost many small queries otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.plan import ELSEWHERE
from deployengine.persistence.schema import (
    OPEN_RUN,
    batch_release,
    deployment,
    step_run,
)


class Views:
    """Counts for progress and durations for forecasts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run_counts(self, batch_id: int) -> dict[tuple[str, RunState], int]:
        """How many runs of the batch are in each state, by environment."""
        query = (
            select(deployment.c.environment, step_run.c.state, func.count())
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .join(batch_release, batch_release.c.release_id == deployment.c.release_id)
            .where(batch_release.c.batch_id == batch_id)
            .group_by(deployment.c.environment, step_run.c.state)
        )
        rows = self._connection.execute(query)
        return {(environment, RunState(state)): count for environment, state, count in rows}

    def granted_counts(self, batch_id: int, granted: Sequence[int]) -> dict[str, int]:
        """How many of these granted runs no worker has claimed yet, by environment."""
        if not granted:
            return {}
        query = (
            select(deployment.c.environment, func.count().label("runs"))
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .join(batch_release, batch_release.c.release_id == deployment.c.release_id)
            .where(
                batch_release.c.batch_id == batch_id,
                step_run.c.id.in_(granted),
                step_run.c.state == RunState.WAITING,
            )
            .group_by(deployment.c.environment)
        )
        return {row.environment: row.runs for row in self._connection.execute(query)}

    def asking_counts(self, batch_id: int) -> dict[tuple[str, RunState], int]:
        """How many runs of the batch ask a person, by environment and by the state they are in."""
        query = (
            select(deployment.c.environment, step_run.c.state, func.count())
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .join(batch_release, batch_release.c.release_id == deployment.c.release_id)
            .where(
                batch_release.c.batch_id == batch_id,
                deployment.c.state == DeploymentState.PAUSED,
                step_run.c.asked_at.is_not(None),
                step_run.c.answered_at.is_(None),
            )
            .group_by(deployment.c.environment, step_run.c.state)
        )
        rows = self._connection.execute(query)
        return {(environment, RunState(state)): count for environment, state, count in rows}

    def first_ticket(self) -> int:
        """The lowest ticket of all that there are, as no two are ever alike."""
        runs = select(func.min(step_run.c.ticket))
        deployments = select(func.min(deployment.c.ticket))
        found = [self._connection.execute(query).scalar() for query in (runs, deployments)]
        return min((ticket for ticket in found if ticket is not None), default=0)

    def first_waiting(self, modulus: int, rest: int) -> int | None:
        """The lowest ticket of the runs that wait, of those with such a rest or a larger one."""
        query = select(func.min(step_run.c.ticket)).where(
            OPEN_RUN,
            step_run.c.state == RunState.WAITING,
            step_run.c.ticket % modulus >= rest,
        )
        found: int | None = self._connection.execute(query).scalar()
        return found

    def waiting_tickets(self, deployment_id: int) -> list[int]:
        """The tickets of a deployment that is queued and of its runs that wait, in order."""
        runs = select(step_run.c.ticket).where(
            step_run.c.deployment_id == deployment_id, step_run.c.state == RunState.WAITING
        )
        own = select(deployment.c.ticket).where(
            deployment.c.id == deployment_id,
            deployment.c.state == DeploymentState.QUEUED,
            deployment.c.ticket.is_not(None),
        )
        found = [t for query in (runs, own) for t in self._connection.execute(query).scalars()]
        return sorted(found)

    def durations(self, machine: str | None = None, limit: int = 50) -> list[float]:
        """Seconds that the latest successful runs took, on one machine or on any.

        Without those of which only a person says that they succeeded: nobody knows when.
        """
        query = select(step_run.c.started_at, step_run.c.finished_at).where(
            step_run.c.state == RunState.SUCCEEDED, step_run.c.answered_at.is_(None)
        )
        if machine is not None:
            query = query.where(step_run.c.machine == machine, step_run.c.lock_mode != ELSEWHERE)
        rows = self._connection.execute(query.order_by(step_run.c.id.desc()).limit(limit))
        return [(row.finished_at - row.started_at).total_seconds() for row in rows]
