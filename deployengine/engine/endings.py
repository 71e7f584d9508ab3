"""Endings: how a run ended goes on record, once, and the machine goes on to whoever is next."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.identity import run_id
from deployengine.domain.planning import Unseal
from deployengine.domain.sequel import Sequel, sequel
from deployengine.engine.attempts import again
from deployengine.engine.claims import Claimed, Relinquished
from deployengine.engine.handoff import HandOff
from deployengine.engine.moved import Moved
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.questions import go_on
from deployengine.engine.requests import run_label
from deployengine.engine.turns import Turns
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import LEFT_OUT, DeploymentRecord

log = logging.getLogger("deployengine.runs")

Outputs = Mapping[str, str | dict[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``message`` says why where the exit code does not.

    One that is SKIPPED takes its machine out of the deployment: it is ``absent``, for this reason.
    """

    state: RunState
    exit_code: int | None = None
    message: str | None = None
    absent: str | None = None


class Endings:
    """Records ends and hands on."""

    def __init__(self, database: Database, handoff: HandOff, clock: Clock, unseal: Unseal) -> None:
        self._database = database
        self._handoff = handoff
        self._clock = clock
        self._unseal = unseal

    def conclude(
        self,
        claimed: Claimed,
        outcome: Outcome,
        stream: OutputStream | None = None,
        outputs: Outputs | None = None,
    ) -> Outcome:
        """Records the end, however long the database takes to answer, and hands on.

        The machine stays held meanwhile: its next user must not overtake this record. Raises
        :class:`Relinquished` when the run is not this worker's any more; then nothing is recorded.
        """
        moved = outlast(
            lambda: self._record(claimed, outcome, stream, outputs),
            f"the end of {run_id(claimed.run.id)}",
        )
        log.info("%s %s", run_label(claimed.deployment, claimed.plan, claimed.run), outcome.state)
        with self._handoff.or_later(f"the end of {run_id(claimed.run.id)}"):
            leaving = [run_id(claimed.run.id)]
            self._handoff.follow(claimed.deployment, claimed.plan, moved, leaving)
        return outcome

    def _record(
        self,
        claimed: Claimed,
        outcome: Outcome,
        stream: OutputStream | None,
        outputs: Outputs | None,
    ) -> Moved:
        run = claimed.run
        rest = stream.rest if stream is not None else None
        with self._database.write("end") as tx:
            now = self._clock.now()
            # Before the run's row is written: who cancels locks in this order, too.
            deployment = self._locked(tx, claimed, outcome)
            then = self._sequel(tx, claimed, outcome, deployment)
            ended = tx.runs.end(
                run.id,
                outcome.state,
                now,
                outcome.exit_code,
                outcome.message,
                dict(outputs) if outputs else None,
                fence=claimed.fence,
            )
            if not ended:
                return self._as_recorded(tx, claimed)
            if rest is not None:
                tx.outputs.append(run.id, *rest)
            if claimed.planned.touched:
                tx.claims.untouch([run.id])
            if then is Sequel.AGAIN:
                return Moved(
                    again(
                        tx, deployment or claimed.deployment, claimed.plan, claimed.step, run, now
                    )
                )
            if then is Sequel.ASK:
                tx.questions.ask(run.id, now)
                tx.deployments.pause(run.deployment_id)
                return Moved()
            return self._count_off(tx, claimed, outcome, deployment, now)

    def _as_recorded(self, tx: Transaction, claimed: Claimed) -> Moved:
        """What an earlier try has recorded whose answer got lost."""
        run = tx.runs.get(claimed.run.id)
        if run is None or run.fence != claimed.fence:
            raise Relinquished(run.worker if run and run.worker else "nobody")
        after = tx.runs.waiting_after(run)
        stage = claimed.plan.stage_of(run.step)
        return Moved(
            [after] if after else [], done=tx.steps.all_done(run.deployment_id, stage.positions)
        )

    def _locked(
        self, tx: Transaction, claimed: Claimed, outcome: Outcome
    ) -> DeploymentRecord | None:
        """The deployment with its row held, where what follows depends on more than this run."""
        well = outcome.state is RunState.SUCCEEDED
        if well and not claimed.plan.stage_of(claimed.run.step).compound:
            return None
        return tx.deployments.locked(claimed.deployment.id)

    def _sequel(
        self,
        tx: Transaction,
        claimed: Claimed,
        outcome: Outcome,
        deployment: DeploymentRecord | None,
    ) -> Sequel:
        if outcome.state not in (RunState.FAILED, RunState.UNKNOWN):
            return Sequel.NOTHING
        cancelled = deployment is None or deployment.cancel_requested_at is not None
        over = cancelled or (self._left_out(tx, claimed) and not claimed.step.closes)
        ends = [*tx.runs.ends_before(claimed.run), outcome.state]
        guided = deployment is not None and deployment.guided
        return sequel(claimed.step, ends, over=over, guided=guided)

    def _count_off(
        self,
        tx: Transaction,
        claimed: Claimed,
        outcome: Outcome,
        deployment: DeploymentRecord | None,
        now: datetime,
    ) -> Moved:
        """Takes an end off its step, and readies what it made room for."""
        run, plan, absent = claimed.run, claimed.plan, outcome.absent
        if deployment is None:
            return Moved(done=tx.steps.count_down(run.deployment_id, run.step, 1, now))
        turns = Turns(tx, deployment, plan, claimed.snapshot, self._unseal, now)
        bad = outcome.state in (RunState.FAILED, RunState.UNKNOWN)
        excluded = absent is not None or (bad and turns.leaves_out(run))
        if absent is not None:
            tx.absences.add(run.machine, deployment.id, absent, now)
            tx.lanes.never_began(run.id)
        well = outcome.state is RunState.SUCCEEDED
        if excluded or (not well and self._left_out(tx, claimed)):
            tx.questions.forgive(run.id, LEFT_OUT)
        moved = turns.close(run, leave_out=excluded)
        # A machine that was left out asks no more.
        if deployment.state is DeploymentState.PAUSED:
            moved.lining_up = go_on(tx, deployment)
        return moved

    def _left_out(self, tx: Transaction, claimed: Claimed) -> bool:
        """Whether nothing more is to run on its machine."""
        return tx.lanes.left_out(claimed.run.deployment_id, claimed.run.machine)
