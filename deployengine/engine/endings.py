"""Endings: how a run ended goes on record, once, and the machine goes on to whoever is next."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from deployengine.domain.deployment import RunState, StepState
from deployengine.domain.identity import run_id
from deployengine.domain.project import OnUnknown
from deployengine.domain.sequel import Sequel, sequel
from deployengine.engine.claims import Claimed, Relinquished
from deployengine.engine.handoff import HandOff
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_run, run_label
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import RunRecord

log = logging.getLogger("deployengine.runs")

Outputs = Mapping[str, str | dict[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``message`` says why where the exit code does not."""

    state: RunState
    exit_code: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The attempt that follows, and whether the step ended with this run."""

    followed_by: RunRecord | None = None
    last: bool = False


class Endings:
    """Records ends and hands on."""

    def __init__(self, database: Database, handoff: HandOff, clock: Clock) -> None:
        self._database = database
        self._handoff = handoff
        self._clock = clock

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
        recorded = outlast(
            lambda: self._record(claimed, outcome, stream, outputs),
            f"the end of {run_id(claimed.run.id)}",
        )
        log.info("%s %s", run_label(claimed.deployment, claimed.plan, claimed.run), outcome.state)
        with self._handoff.or_later(f"the end of {run_id(claimed.run.id)}"):
            self._hand_on(claimed, recorded)
        return outcome

    def _record(
        self,
        claimed: Claimed,
        outcome: Outcome,
        stream: OutputStream | None,
        outputs: Outputs | None,
    ) -> _Recorded:
        run = claimed.run
        rest = stream.rest if stream is not None else None
        with self._database.write("end") as tx:
            now = self._clock.now()
            # Asked before the run's row is written: who cancels locks in this order, too.
            then = self._sequel(tx, claimed, outcome)
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
                return _Recorded(followed_by=self._again(tx, claimed, now))
            if then is Sequel.ASK:
                tx.runs.ask(run.id, now)
                tx.deployments.pause(run.deployment_id)
                return _Recorded()
            return _Recorded(last=tx.steps.count_down(run.deployment_id, run.step, 1, now))

    def _as_recorded(self, tx: Transaction, claimed: Claimed) -> _Recorded:
        """What an earlier try has recorded whose answer got lost."""
        run = tx.runs.get(claimed.run.id)
        if run is None or run.fence != claimed.fence:
            raise Relinquished(run.worker if run and run.worker else "nobody")
        return _Recorded(
            tx.runs.waiting_after(run),
            last=tx.steps.state(run.deployment_id, run.step) is StepState.DONE,
        )

    def _sequel(self, tx: Transaction, claimed: Claimed, outcome: Outcome) -> Sequel:
        retries = outcome.state is RunState.FAILED and claimed.step.retries > 0
        unknown = outcome.state is RunState.UNKNOWN and claimed.step.on_unknown != OnUnknown.FAIL
        if not retries and not unknown:
            return Sequel.NOTHING
        deployment = tx.deployments.locked(claimed.deployment.id)
        cancelled = deployment is None or deployment.cancel_requested_at is not None
        ends = [*tx.runs.ends_before(claimed.run), outcome.state]
        return sequel(claimed.step, ends, cancelled=cancelled)

    def _again(self, tx: Transaction, claimed: Claimed, now: datetime) -> RunRecord:
        again = tx.runs.add_attempt(claimed.run, tx.counters.draw(TICKET), now)
        tx.claims.touch({again.id: claimed.planned.touched})
        return again

    def _hand_on(self, claimed: Claimed, recorded: _Recorded) -> None:
        after = recorded.followed_by
        entering = [for_run(claimed.deployment, claimed.plan, after)] if after else []
        self._handoff.exchange(leaving=[run_id(claimed.run.id)], entering=entering)
        if recorded.last:
            self._handoff.resume(claimed.run.deployment_id)
