"""Steps of deployments: the barrier. Who brings ``open_runs`` to zero resumes the chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from deployengine.domain.deployment import StepState
from deployengine.persistence.pages import pages
from deployengine.persistence.records import StepRecord
from deployengine.persistence.schema import OPEN_DEPLOYMENT, deployment, step

_COLUMNS = (step.c.deployment_id, step.c.position, step.c.name, step.c.state, step.c.open_runs)
_COUNT_DOWN = (
    update(step)
    .where(step.c.deployment_id == bindparam("of"), step.c.position == bindparam("at"))
    .values(open_runs=step.c.open_runs - bindparam("ended"))
    .returning(step.c.open_runs)
)


class Steps:
    """The steps of deployments and their lawful moves."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, deployment_id: int, names: Sequence[str]) -> None:
        """Stores a deployment's steps as pending."""
        rows = [
            {
                "deployment_id": deployment_id,
                "position": position,
                "name": name,
                "state": StepState.PENDING,
                "open_runs": 0,
            }
            for position, name in enumerate(names)
        ]
        if rows:
            self._connection.execute(insert(step), rows)

    def of(self, deployment_id: int) -> list[StepRecord]:
        """The deployment's steps in order."""
        query = select(*_COLUMNS).where(step.c.deployment_id == deployment_id)
        return [_record(row) for row in self._connection.execute(query.order_by(step.c.position))]

    def names(self, deployment_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The names of several deployments' steps, in order."""
        found: dict[int, list[str]] = {number: [] for number in deployment_ids}
        for page in pages(deployment_ids):
            query = select(step.c.deployment_id, step.c.name).where(step.c.deployment_id.in_(page))
            for row in self._connection.execute(query.order_by(step.c.position)):
                found[row.deployment_id].append(row.name)
        return {number: tuple(names) for number, names in found.items()}

    def open(self, deployment_id: int, position: int, runs: int) -> bool:
        """Pending to open with so many runs to wait for; whether this call did it."""
        return self._move(
            deployment_id, position, StepState.PENDING, state=StepState.OPEN, open_runs=runs
        )

    def skip(self, deployment_id: int, position: int, now: datetime) -> bool:
        """Pending to done; whether this call did it."""
        return self._move(
            deployment_id, position, StepState.PENDING, state=StepState.DONE, done_at=now
        )

    def state(self, deployment_id: int, position: int) -> StepState:
        """Where the step is."""
        query = select(step.c.state).where(
            step.c.deployment_id == deployment_id, step.c.position == position
        )
        return StepState(self._connection.execute(query).scalar_one())

    def count_down(self, deployment_id: int, position: int, ended: int, now: datetime) -> bool:
        """Takes runs that have ended off the count; whether they were the last of the step.

        The row stays locked to the end of the transaction, so exactly one caller is the last.
        """
        left = self._connection.execute(
            _COUNT_DOWN, {"of": deployment_id, "at": position, "ended": ended}
        ).scalar_one()
        return left == 0 and self._move(
            deployment_id, position, StepState.OPEN, state=StepState.DONE, done_at=now
        )

    def all_done(self, deployment_id: int, positions: Sequence[int]) -> bool:
        """Whether each of these steps is done."""
        query = select(step.c.position).where(
            step.c.deployment_id == deployment_id,
            step.c.position.in_(positions),
            step.c.state != StepState.DONE,
        )
        return self._connection.execute(query.limit(1)).first() is None

    def stalled(self) -> list[tuple[int, int]]:
        """Running deployments that have no open step, each with how many of its steps are done.

        Between two links every deployment is so for a moment; one that stays so has lost its link.
        """
        of_it = step.c.deployment_id == deployment.c.id
        is_open = select(step.c.position).where(of_it, step.c.state == StepState.OPEN)
        done = select(func.count()).where(of_it, step.c.state == StepState.DONE)
        query = select(deployment.c.id, done.scalar_subquery()).where(
            OPEN_DEPLOYMENT, deployment.c.state == "running", ~is_open.exists()
        )
        return [(number, count) for number, count in self._connection.execute(query)]

    def _move(self, deployment_id: int, position: int, from_state: StepState, **to: Any) -> bool:
        statement = update(step).where(
            step.c.deployment_id == deployment_id,
            step.c.position == position,
            step.c.state == from_state,
        )
        return self._connection.execute(statement.values(**to)).rowcount == 1


def _record(row: Any) -> StepRecord:
    return StepRecord(
        row.deployment_id, row.position, row.name, StepState(row.state), row.open_runs
    )
