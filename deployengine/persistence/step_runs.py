"""Step runs: one attempt of one step on one machine, and its lawful moves.

Every move is a compare-and-set, so a message that comes late or twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)

from deployengine.domain.deployment import RunState
from deployengine.persistence.records import RunRecord, run_record
from deployengine.persistence.schema import (
    OPEN_RUN,
    RUNNING_RUN,
    batch_release,
    deployment,
    step_run,
)

_END = (
    update(step_run)
    .where(
        step_run.c.id == bindparam("which"),
        step_run.c.state == RunState.RUNNING,
        step_run.c.fence == func.coalesce(bindparam("under"), step_run.c.fence),
    )
    .values(
        state=bindparam("to"),
        finished_at=bindparam("at"),
        exit_code=bindparam("code"),
        message=bindparam("text"),
        outputs=bindparam("values"),
    )
    .returning(step_run.c.id)
)

#: Runs that ask a person how they ended.
_ASKING = and_(
    step_run.c.state == RunState.UNKNOWN,
    step_run.c.asked_at.is_not(None),
    step_run.c.answered_at.is_(None),
)

#: Ids in one query; the databases take some thousands.
PAGE = 500


class StepRuns:
    """Step runs by id and by deployment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, deployment_id: int, step: int, runs: Sequence[tuple[str, str]]) -> None:
        """Stores a step's first attempts as pending, from ``(machine, lock mode)`` in order."""
        rows = [
            {
                "deployment_id": deployment_id,
                "step": step,
                "place": place,
                "machine": machine,
                "attempt": 1,
                "state": RunState.PENDING,
                "lock_mode": mode,
            }
            for place, (machine, mode) in enumerate(runs)
        ]
        if rows:
            self._connection.execute(insert(step_run), rows)

    def make_ready(
        self, deployment_id: int, step: int, first_ticket: int, now: datetime
    ) -> list[RunRecord]:
        """Pending to waiting for the whole step, with tickets in the order of its machines."""
        self._connection.execute(
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.step == step,
                step_run.c.state == RunState.PENDING,
            )
            .values(state=RunState.WAITING, ready_at=now, ticket=first_ticket + step_run.c.place)
        )
        return self.of_step(deployment_id, step)

    def add_attempt(self, failed: RunRecord, ticket: int, now: datetime) -> RunRecord:
        """Stores the attempt after one that has ended, waiting with a ticket of its own."""
        statement = insert(step_run).values(
            deployment_id=failed.deployment_id,
            step=failed.step,
            place=failed.place,
            machine=failed.machine,
            attempt=failed.attempt + 1,
            state=RunState.WAITING,
            lock_mode=failed.lock_mode,
            ticket=ticket,
            ready_at=now,
        )
        return run_record(self._connection.execute(statement.returning(*step_run.c)).one())

    def end(
        self,
        run_id: int,
        state: RunState,
        now: datetime,
        exit_code: int | None = None,
        message: str | None = None,
        outputs: Mapping[str, str | dict[str, str]] | None = None,
        fence: int | None = None,
    ) -> bool:
        """Running to a final state; whether this call did it.

        With a ``fence`` only a run that still runs under it.
        """
        return (
            self._connection.execute(
                _END,
                {
                    "which": run_id,
                    "under": fence,
                    "to": state,
                    "at": now,
                    "code": exit_code,
                    "text": message,
                    "values": outputs,
                },
            ).one_or_none()
            is not None
        )

    def ask(self, run_id: int, now: datetime) -> bool:
        """Has a run whose end is unknown ask a person for it, once; whether this call did it."""
        statement = update(step_run).where(
            step_run.c.id == run_id,
            step_run.c.state == RunState.UNKNOWN,
            step_run.c.asked_at.is_(None),
        )
        return self._connection.execute(statement.values(asked_at=now)).rowcount == 1

    def answer(self, run_id: int, state: RunState, now: datetime, message: str) -> bool:
        """Closes the question of a run, which then has this state; whether this call did it."""
        statement = update(step_run).where(step_run.c.id == run_id, _ASKING)
        values = {"state": state, "answered_at": now, "message": message}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def asking(self, deployment_ids: Sequence[int]) -> list[RunRecord]:
        """The runs of these deployments that ask a person how they ended, in order of id."""
        ids, found = sorted(deployment_ids), []
        for begin in range(0, len(ids), PAGE):
            query = select(step_run).where(
                step_run.c.deployment_id.in_(ids[begin : begin + PAGE]), _ASKING
            )
            found += [run_record(row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda run: run.id)

    def ends_before(self, run: RunRecord) -> list[RunState]:
        """How the attempts before this one ended, the first one first."""
        query = select(step_run.c.state).where(
            step_run.c.deployment_id == run.deployment_id,
            step_run.c.step == run.step,
            step_run.c.machine == run.machine,
            step_run.c.attempt < run.attempt,
        )
        rows = self._connection.execute(query.order_by(step_run.c.attempt))
        return [RunState(state) for state in rows.scalars()]

    def waiting_after(self, run: RunRecord) -> RunRecord | None:
        """The attempt after this one, while it waits."""
        query = select(step_run).where(
            step_run.c.deployment_id == run.deployment_id,
            step_run.c.step == run.step,
            step_run.c.machine == run.machine,
            step_run.c.attempt > run.attempt,
            step_run.c.state == RunState.WAITING,
        )
        row = self._connection.execute(query).first()
        return run_record(row) if row else None

    def cancel_parked(self, deployment_id: int, now: datetime) -> list[RunRecord]:
        """Pending and waiting to cancelled; those that were waiting (the others held no place)."""
        waiting = self._connection.execute(
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.state == RunState.WAITING,
            )
            .values(state=RunState.CANCELLED, finished_at=now)
            .returning(*step_run.c)
        ).all()
        self.give_up_pending(deployment_id, RunState.CANCELLED, now)
        return [run_record(row) for row in waiting]

    def give_up_pending(
        self, deployment_id: int, state: RunState, now: datetime, step: int | None = None
    ) -> None:
        """Pending to skipped or cancelled, for one step or for all."""
        statement = update(step_run).where(
            step_run.c.deployment_id == deployment_id, step_run.c.state == RunState.PENDING
        )
        if step is not None:
            statement = statement.where(step_run.c.step == step)
        self._connection.execute(statement.values(state=state, finished_at=now))

    def request_cancel(self, deployment_id: int, now: datetime) -> list[int]:
        """Marks the running ones; the ids of all that are marked and still run."""
        self._connection.execute(
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.state == RunState.RUNNING,
                step_run.c.cancel_requested_at.is_(None),
            )
            .values(cancel_requested_at=now)
        )
        query = select(step_run.c.id).where(
            step_run.c.deployment_id == deployment_id, step_run.c.state == RunState.RUNNING
        )
        return list(self._connection.execute(query).scalars())

    def cancelling(self) -> list[int]:
        """The ids of running ones that are to be cancelled."""
        query = select(step_run.c.id).where(
            RUNNING_RUN, step_run.c.cancel_requested_at.is_not(None)
        )
        return list(self._connection.execute(query).scalars())

    def get(self, run_id: int) -> RunRecord | None:
        """The run with this id."""
        row = self._connection.execute(select(step_run).where(step_run.c.id == run_id)).first()
        return run_record(row) if row else None

    def some(self, run_ids: Sequence[int]) -> list[RunRecord]:
        """Those of these ids, however many, in order of id."""
        ids, found = sorted(run_ids), []
        for begin in range(0, len(ids), PAGE):
            query = select(step_run).where(step_run.c.id.in_(ids[begin : begin + PAGE]))
            rows = self._connection.execute(query.order_by(step_run.c.id))
            found += [run_record(row) for row in rows]
        return found

    def of_step(self, deployment_id: int, step: int) -> list[RunRecord]:
        """The runs of a step that wait or run, in order of place."""
        query = select(step_run).where(
            step_run.c.deployment_id == deployment_id,
            step_run.c.step == step,
            step_run.c.state.in_((RunState.WAITING, RunState.RUNNING)),
        )
        return [
            run_record(row) for row in self._connection.execute(query.order_by(step_run.c.place))
        ]

    def of_deployment(self, deployment_id: int) -> list[RunRecord]:
        """All runs of a deployment by step, machine and attempt."""
        query = select(step_run).where(step_run.c.deployment_id == deployment_id)
        order = (step_run.c.step, step_run.c.place, step_run.c.attempt)
        return [run_record(row) for row in self._connection.execute(query.order_by(*order))]

    def with_outputs(self, deployment_id: int, before_step: int) -> list[RunRecord]:
        """The runs of steps before this one that set outputs."""
        query = select(step_run).where(
            step_run.c.deployment_id == deployment_id,
            step_run.c.step < before_step,
            step_run.c.outputs.is_not(None),
        )
        return [run_record(row) for row in self._connection.execute(query)]

    def of_batch(self, batch_id: int) -> list[RunRecord]:
        """All runs of the batch's releases."""
        query = (
            select(*step_run.c)
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .join(batch_release, batch_release.c.release_id == deployment.c.release_id)
            .where(batch_release.c.batch_id == batch_id)
            .order_by(step_run.c.id)
        )
        return [run_record(row) for row in self._connection.execute(query)]

    def open(self) -> list[RunRecord]:
        """All that wait or run, in order of ticket."""
        query = select(step_run).where(OPEN_RUN).order_by(step_run.c.ticket)
        return [run_record(row) for row in self._connection.execute(query)]

    def open_ids(self) -> set[int]:
        """The ids only."""
        return set(self._connection.execute(select(step_run.c.id).where(OPEN_RUN)).scalars())

    def count_open(self) -> int:
        """How many wait or run."""
        query = select(func.count()).select_from(step_run).where(OPEN_RUN)
        return int(self._connection.execute(query).scalar_one())

    def still_waiting(self, run_ids: Sequence[int]) -> set[int]:
        """Those of these that no worker has claimed."""
        query = select(step_run.c.id).where(
            step_run.c.id.in_(run_ids), step_run.c.state == RunState.WAITING
        )
        return set(self._connection.execute(query).scalars())

    def any_unsuccessful(self, deployment_id: int) -> bool:
        """Whether the last attempt of some run of the deployment ended other than well.

        One that asks a person how it ended has not ended either way.
        """
        later = step_run.alias()
        superseded = select(later.c.id).where(
            later.c.deployment_id == step_run.c.deployment_id,
            later.c.step == step_run.c.step,
            later.c.machine == step_run.c.machine,
            later.c.attempt > step_run.c.attempt,
        )
        query = select(step_run.c.id).where(
            step_run.c.deployment_id == deployment_id,
            step_run.c.state.in_((RunState.FAILED, RunState.CANCELLED, RunState.UNKNOWN)),
            ~_ASKING,
            ~superseded.exists(),
        )
        return self._connection.execute(query.limit(1)).first() is not None
