"""Lanes: the runs of several steps that each machine goes through in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, update

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import RunState
from deployengine.persistence.questions import ASKING
from deployengine.persistence.records import LEFT_OUT, WHY_LEFT_OUT, RunRecord, run_record
from deployengine.persistence.schema import (
    AWAITING_RUN,
    OPEN_DEPLOYMENT,
    deployment,
    machine_state,
    step_run,
)


@dataclass(frozen=True, slots=True)
class Paused:
    """A further attempt, the end of the pause before it, and how long that is."""

    run: RunRecord
    until: datetime
    seconds: float


class Lanes:
    """The latest attempts of a deployment's runs, and their moves from pending."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, deployment_id: int, steps: Sequence[int]) -> list[RunRecord]:
        """The latest attempt on each machine at each of these steps, by step and place."""
        query = select(step_run).where(
            step_run.c.deployment_id == deployment_id, step_run.c.step.in_(steps)
        )
        order = (step_run.c.step, step_run.c.place, step_run.c.attempt)
        rows = self._connection.execute(query.order_by(*order))
        return list({(row.place, row.step): run_record(row) for row in rows}.values())

    def ready(self, runs: Sequence[RunRecord], tickets: range, now: datetime) -> list[RunRecord]:
        """Pending to waiting, each with its ticket, in this order."""
        readied = []
        for run, ticket in zip(runs, tickets, strict=True):
            statement = (
                update(step_run)
                .where(step_run.c.id == run.id, step_run.c.state == RunState.PENDING)
                .values(
                    state=RunState.WAITING,
                    ready_at=now,
                    ticket=ticket,
                    not_before=None,
                    awaits_machine=None,
                )
            )
            row = self._connection.execute(statement.returning(*step_run.c)).one_or_none()
            if row is not None:
                readied.append(run_record(row))
        return readied

    def give_up(self, run_id: int, state: RunState, message: str | None, now: datetime) -> None:
        """Pending to a final state."""
        statement = update(step_run).where(
            step_run.c.id == run_id, step_run.c.state == RunState.PENDING
        )
        values = {"state": state, "finished_at": now, "message": message}
        self._connection.execute(statement.values(**values))

    def leave_out(
        self,
        deployment_id: int,
        machine: str,
        message: str,
        now: datetime,
        spared: Sequence[int] = (),
    ) -> list[RunRecord]:
        """Skips all that is pending or waits on a machine, but for these runs; which they were."""
        statement = (
            update(step_run)
            .where(
                step_run.c.deployment_id == deployment_id,
                step_run.c.machine == machine,
                step_run.c.state.in_((RunState.PENDING, RunState.WAITING)),
                step_run.c.id.not_in(spared),
            )
            .values(state=RunState.SKIPPED, finished_at=now, message=message)
            .returning(*step_run.c)
        )
        return [run_record(row) for row in self._connection.execute(statement)]

    def never_began(self, run_id: int) -> None:
        """Says of a run that was claimed that nothing of it happened on its machine."""
        statement = update(step_run).where(step_run.c.id == run_id)
        self._connection.execute(statement.values(started_at=None))

    def left_out(self, deployment_id: int, machine: str) -> bool:
        """Whether a machine has been left out of the rest of a deployment."""
        skipped = step_run.c.state == RunState.SKIPPED
        query = select(step_run.c.id).where(
            step_run.c.deployment_id == deployment_id,
            step_run.c.machine == machine,
            (step_run.c.answer == LEFT_OUT) | (skipped & (step_run.c.message == WHY_LEFT_OUT)),
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def waiting(self, deployment_id: int) -> list[RunRecord]:
        """The runs of a deployment that wait to be claimed, in order of ticket."""
        query = select(step_run).where(
            step_run.c.deployment_id == deployment_id, step_run.c.state == RunState.WAITING
        )
        return [
            run_record(row) for row in self._connection.execute(query.order_by(step_run.c.ticket))
        ]

    def set_ticket(self, run_id: int, ticket: int) -> None:
        """Gives a run that waits another place."""
        statement = update(step_run).where(
            step_run.c.id == run_id, step_run.c.state == RunState.WAITING
        )
        self._connection.execute(statement.values(ticket=ticket))

    def planned_on(self, machine: str) -> list[int]:
        """The deployments of which something is to come on a machine or asks there, by id."""
        query = (
            select(step_run.c.deployment_id)
            .distinct()
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .where(
                OPEN_DEPLOYMENT,
                step_run.c.machine == machine,
                step_run.c.state.in_((RunState.PENDING, RunState.WAITING)) | ASKING,
            )
        )
        rows = self._connection.execute(query.order_by(step_run.c.deployment_id))
        return list(rows.scalars())

    def busy(self) -> dict[str, int]:
        """How many runs of open deployments are to come, wait or run, by machine."""
        query = (
            select(step_run.c.machine, func.count().label("many"))
            .select_from(step_run)
            .join(deployment, deployment.c.id == step_run.c.deployment_id)
            .where(
                OPEN_DEPLOYMENT,
                step_run.c.state.in_((RunState.PENDING, RunState.WAITING, RunState.RUNNING)),
            )
        )
        rows = self._connection.execute(query.group_by(step_run.c.machine))
        return {row.machine: row.many for row in rows}

    def back(self) -> list[RunRecord]:
        """The runs that need not wait for a machine any more, in order of id.

        It is not unavailable now; or it is disabled, and they are turned away for that.
        """
        away = (machine_state.c.state == Health.UNAVAILABLE) & (
            machine_state.c.mode != MachineMode.DISABLED
        )
        still = select(machine_state.c.machine).where(
            machine_state.c.machine == step_run.c.awaits_machine, away
        )
        query = select(step_run).where(AWAITING_RUN, ~still.exists())
        return [run_record(row) for row in self._connection.execute(query.order_by(step_run.c.id))]

    def paused(self) -> list[Paused]:
        """The further attempts that wait for the end of a pause, the first to end first."""
        before = step_run.alias("before")
        waiting = (step_run.c.state == RunState.PENDING, step_run.c.not_before.is_not(None))
        query = select(step_run).where(*waiting)
        rows = self._connection.execute(query.order_by(step_run.c.not_before, step_run.c.id)).all()
        if not rows:
            return []
        ends = (
            select(step_run.c.id, before.c.finished_at)
            .join(
                before,
                and_(
                    before.c.deployment_id == step_run.c.deployment_id,
                    before.c.step == step_run.c.step,
                    before.c.machine == step_run.c.machine,
                    before.c.attempt == step_run.c.attempt - 1,
                ),
            )
            .where(*waiting)
        )
        since = {row.id: row.finished_at for row in self._connection.execute(ends)}
        return [
            Paused(
                run_record(row), row.not_before, (row.not_before - since[row.id]).total_seconds()
            )
            for row in rows
            if row.id in since  # else it has just been readied
        ]
