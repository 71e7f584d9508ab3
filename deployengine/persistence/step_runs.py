"""Step runs: one attempt of one step on one machine, and its lawful moves.

Every move is a compare-and-set, so a message that comes late or twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from deployengine.domain.deployment import RunState
from deployengine.persistence.pages import pages
from deployengine.persistence.questions import ASKING
from deployengine.persistence.records import FORGIVEN, RunRecord, run_record
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


class StepRuns:
    """Step runs by id and by deployment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        deployment_id: int,
        step: int,
        runs: Sequence[tuple[str, str]],
        seen_anywhere: Collection[str] = (),
    ) -> None:
        """Stores a step's first attempts as pending, from ``(machine, lock mode)`` in order.

        ``seen_anywhere``: the machines whose tickets any worker can see, wherever it works.
        """
        rows = [
            {
                "deployment_id": deployment_id,
                "step": step,
                "place": place,
                "machine": machine,
                "attempt": 1,
                "state": RunState.PENDING,
                "lock_mode": mode,
                "seen_anywhere": machine in seen_anywhere,
            }
            for place, (machine, mode) in enumerate(runs)
        ]
        if rows:
            self._connection.execute(insert(step_run), rows)

    def make_ready(
        self, deployment_id: int, step: int, tickets: range, now: datetime
    ) -> list[RunRecord]:
        """Pending to waiting for the whole step; each machine's place is that of its ticket."""
        self._connection.execute(
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.step == step,
                step_run.c.state == RunState.PENDING,
            )
            .values(
                state=RunState.WAITING,
                ready_at=now,
                # Said to be big: PostgreSQL takes a number that comes before another for small.
                ticket=literal(tickets.start, BigInteger)
                + literal(tickets.step, BigInteger) * step_run.c.place,
            )
        )
        return self.of_step(deployment_id, step)

    def add_attempt(
        self,
        failed: RunRecord,
        ticket: int | None,
        now: datetime,
        not_before: datetime | None = None,
    ) -> RunRecord:
        """Stores the attempt after one that has ended.

        It waits with a ticket of its own, or is pending without one until an instant.
        """
        statement = insert(step_run).values(
            deployment_id=failed.deployment_id,
            step=failed.step,
            place=failed.place,
            machine=failed.machine,
            attempt=failed.attempt + 1,
            state=RunState.PENDING if ticket is None else RunState.WAITING,
            lock_mode=failed.lock_mode,
            seen_anywhere=failed.seen_anywhere,
            ticket=ticket,
            ready_at=None if ticket is None else now,
            not_before=not_before,
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

    def ends_before(self, run: RunRecord) -> list[RunState]:
        """How the attempts before this one ended, the first one first."""
        return self._ends(run, step_run.c.attempt < run.attempt)

    def ends_up_to(self, run: RunRecord) -> list[RunState]:
        """The same, with this one."""
        return self._ends(run, step_run.c.attempt <= run.attempt)

    def _ends(self, run: RunRecord, which: ColumnElement[bool]) -> list[RunState]:
        query = select(step_run.c.state).where(
            step_run.c.deployment_id == run.deployment_id,
            step_run.c.step == run.step,
            step_run.c.machine == run.machine,
            which,
        )
        rows = self._connection.execute(query.order_by(step_run.c.attempt))
        return [RunState(state) for state in rows.scalars()]

    def waiting_after(self, run: RunRecord) -> RunRecord | None:
        """The attempt after this one, while it waits for its machine."""
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
        """Waiting to cancelled; which they were."""
        waiting = self._connection.execute(
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.state == RunState.WAITING,
            )
            .values(state=RunState.CANCELLED, finished_at=now)
            .returning(*step_run.c)
        ).all()
        return [run_record(row) for row in waiting]

    def cancel_waiting(self, run_id: int, now: datetime) -> bool:
        """One run that waits for its machine or a person, or is paused, to cancelled.

        Whether this call did it.
        """
        due = or_(
            step_run.c.not_before.is_not(None),
            step_run.c.awaits_machine.is_not(None),
            step_run.c.asked_at.is_not(None),
        )
        statement = update(step_run).where(
            step_run.c.id == run_id,
            (step_run.c.state == RunState.WAITING) | ((step_run.c.state == RunState.PENDING) & due),
        )
        ended = statement.values(
            state=RunState.CANCELLED,
            finished_at=now,
            message="cancelled",
            answered_at=case((step_run.c.asked_at.is_not(None), now), else_=None),
        )
        return self._connection.execute(ended).rowcount == 1

    def cancel_running(self, run_id: int, now: datetime) -> bool:
        """Marks one run, if it runs, to be ended; whether it does."""
        statement = update(step_run).where(
            step_run.c.id == run_id, step_run.c.state == RunState.RUNNING
        )
        marked = func.coalesce(step_run.c.cancel_requested_at, now)
        ended = statement.values(cancel_requested_at=marked)
        return self._connection.execute(ended).rowcount == 1

    def give_up_pending(
        self,
        deployment_id: int,
        state: RunState,
        now: datetime,
        step: int | None = None,
        message: str | None = None,
    ) -> Counter[int]:
        """Pending to a final state, for one step or for all; how many runs of each step."""
        statement = update(step_run).where(
            step_run.c.deployment_id == deployment_id, step_run.c.state == RunState.PENDING
        )
        if step is not None:
            statement = statement.where(step_run.c.step == step)
        ended = statement.values(state=state, finished_at=now, message=message)
        return Counter(self._connection.execute(ended.returning(step_run.c.step)).scalars())

    def count_pending(self, deployment_id: int, step: int) -> int:
        """How many runs of a step have not been readied."""
        query = select(func.count()).where(
            step_run.c.deployment_id == deployment_id,
            step_run.c.step == step,
            step_run.c.state == RunState.PENDING,
        )
        return int(self._connection.execute(query).scalar_one())

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
        found = []
        for page in pages(sorted(run_ids)):
            query = select(step_run).where(step_run.c.id.in_(page))
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

    def with_outputs(self, deployment_ids: Sequence[int], before_step: int) -> list[RunRecord]:
        """The runs of steps before this one that set outputs, in these deployments."""
        query = select(step_run).where(
            step_run.c.deployment_id.in_(deployment_ids),
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

        One that asks a person has not ended either way, and one of which a person said that the
        deployment goes on without it does not count.
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
            ~ASKING,
            step_run.c.answer.not_in(FORGIVEN) | step_run.c.answer.is_(None),
            ~superseded.exists(),
        )
        return self._connection.execute(query.limit(1)).first() is not None
