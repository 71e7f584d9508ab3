"""Questions that step runs ask people, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, update

from deployengine.domain.deployment import RunState
from deployengine.persistence.pages import pages
from deployengine.persistence.records import RunRecord, run_record
from deployengine.persistence.schema import OPEN_DEPLOYMENT, deployment, step_run

#: Runs that ask, and nobody has answered.
ASKING = and_(step_run.c.asked_at.is_not(None), step_run.c.answered_at.is_(None))
#: What may ask: a manual step, a failure, and an end that nobody knows.
_MAY_ASK = (RunState.PENDING, RunState.FAILED, RunState.UNKNOWN)


class Questions:
    """Each run asks once at most; what comes after is a further attempt's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, run_id: int, now: datetime, message: str | None = None) -> bool:
        """Has a run ask a person; whether this call did it. A message is kept with it."""
        statement = update(step_run).where(
            step_run.c.id == run_id, step_run.c.state.in_(_MAY_ASK), step_run.c.asked_at.is_(None)
        )
        values = {"asked_at": now} | ({} if message is None else {"message": message})
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def answer(
        self, run_id: int, state: RunState, now: datetime, message: str, answer: str | None = None
    ) -> bool:
        """Closes the question of a run, which then has this state; whether this call did it."""
        statement = update(step_run).where(step_run.c.id == run_id, ASKING)
        closed = statement.values(
            state=state,
            answered_at=now,
            answer=answer,
            message=message,
            # A manual step ends with its answer; a script's end stays when it was.
            finished_at=func.coalesce(step_run.c.finished_at, now),
        )
        return self._connection.execute(closed).rowcount == 1

    def forgive(self, run_id: int, answer: str) -> None:
        """Says of a run that ended badly that its deployment goes on without it."""
        statement = update(step_run).where(step_run.c.id == run_id)
        self._connection.execute(statement.values(answer=answer))

    def asking(self, deployment_ids: Sequence[int]) -> list[RunRecord]:
        """The runs of these deployments that ask, in order of id."""
        found = []
        for page in pages(sorted(deployment_ids)):
            query = select(step_run).where(step_run.c.deployment_id.in_(page), ASKING)
            found += [run_record(row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda run: run.id)

    def all_asking(self) -> list[RunRecord]:
        """Every run that asks, in order of id."""
        query = (
            select(*step_run.c)
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .where(OPEN_DEPLOYMENT, deployment.c.state == "paused", ASKING)
        )
        return [run_record(row) for row in self._connection.execute(query.order_by(step_run.c.id))]
