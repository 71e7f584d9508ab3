"""Absences: deployments that go without a machine which belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from deployengine.domain.deployment import DeploymentState
from deployengine.persistence.inserting import insert_new
from deployengine.persistence.records import AbsenceRecord
from deployengine.persistence.schema import absence, deployment

_OF_DEPLOYMENT = (
    deployment.c.project,
    deployment.c.version,
    deployment.c.environment,
    deployment.c.state,
)


class Absences:
    """By machine and deployment; each is there until the machine has caught up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, machine: str, deployment_id: int, why: str, now: datetime) -> None:
        """Notes that a deployment goes without a machine; once is enough."""
        row = {"machine": machine, "deployment_id": deployment_id, "why": why, "at": now}
        self._connection.execute(insert_new(self._connection, absence), row)

    def all(self, machines: Collection[str] | None = None) -> list[AbsenceRecord]:
        """Every one, or those of some machines, by deployment and machine."""
        query = select(absence, *_OF_DEPLOYMENT).join(
            deployment, deployment.c.id == absence.c.deployment_id
        )
        if machines is not None:
            query = query.where(absence.c.machine.in_(machines))
        rows = self._connection.execute(query.order_by(absence.c.deployment_id, absence.c.machine))
        return [_record(row) for row in rows]

    def keep(self, machines: Collection[str]) -> None:
        """Forgets those of all other machines."""
        self._connection.execute(delete(absence).where(absence.c.machine.not_in(machines)))

    def drop(self, machine: str, deployment_ids: Sequence[int]) -> int:
        """Forgets them; how many of them nobody else had forgotten before."""
        statement = delete(absence).where(
            absence.c.machine == machine, absence.c.deployment_id.in_(deployment_ids)
        )
        return self._connection.execute(statement).rowcount


def _record(row: Any) -> AbsenceRecord:
    values = row._asdict()
    values["state"] = DeploymentState(values["state"])
    return AbsenceRecord(**values)
