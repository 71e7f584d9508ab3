"""Carrying out step runs: claim, start the ticket, stream its output, record its end, hand on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import DeployEngineError, Unreachable
from deployengine.domain.identity import run_id
from deployengine.domain.plan import Unseal
from deployengine.domain.project import Step
from deployengine.engine.archive import Archive
from deployengine.engine.claims import Claimed, Claims
from deployengine.engine.handoff import HandOff
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_run, run_label
from deployengine.engine.work import Seal, outputs_to_store, work_of
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import RunRecord
from deployengine.steps.contract import Runner, State, Status, Ticket
from deployengine.steps.errors import StepError
from deployengine.steps.masking import Masker
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.runs")

RunnerOf = Callable[[Machine], Runner]
Outputs = Mapping[str, str | dict[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``message`` says why where the exit code does not."""

    state: RunState
    exit_code: int | None = None
    message: str | None = None


class StepRuns:
    """Runs scripts; one call of :meth:`execute` is one slot taken."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        runner_of: RunnerOf,
        seal: Seal,
        unseal: Unseal,
        *,
        output_interval: timedelta,
        grace: timedelta,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._claims = Claims(database, handoff, archive, clock)
        self._clock = clock
        self._runner_of = runner_of
        self._seal = seal
        self._unseal = unseal
        self._output_interval = output_interval
        self._grace = grace
        self._wakes: dict[int, Wake] = {}
        self._wakes_lock = threading.Lock()

    def execute(self, number: int, granted_at: datetime, worker: str) -> Outcome | None:
        """Carries a granted run out to its end; ``None`` when it was not waiting any more.

        Whatever goes wrong with the run is its outcome; what is raised is trouble with the
        database or Redis.
        """
        with Wake() as wake:
            if not self._register(number, wake):  # before the claim, so that no cancel is missed
                return None  # the message came twice, and the run is being carried out here
            try:
                claimed = self._claims.claim(number, granted_at, worker)
                if claimed is None:
                    return None
                return self._carry_out(claimed, wake)
            finally:
                self._unregister(number)

    def cancel(self, numbers: Iterable[int]) -> None:
        """Ends those of the runs that this process carries out; returns at once."""
        with self._wakes_lock:
            for number in numbers:
                if number in self._wakes:
                    self._wakes[number].set()  # under the lock: it is closed once unregistered

    def _register(self, number: int, wake: Wake) -> bool:
        with self._wakes_lock:
            return self._wakes.setdefault(number, wake) is wake

    def _unregister(self, number: int) -> None:
        with self._wakes_lock:
            del self._wakes[number]

    def _carry_out(self, claimed: Claimed, wake: Wake) -> Outcome:
        try:
            work, secrets = work_of(
                claimed.run,
                claimed.deployment,
                claimed.snapshot,
                claimed.step,
                claimed.machine,
                claimed.earlier,
                self._unseal,
                self._grace,
            )
            ticket = self._runner_of(claimed.machine).ticket(work)
            stream = OutputStream(self._database, claimed.run.id, ticket, Masker(secrets))
            deadline = self._deadline(claimed.step)
            ticket.start()
        except DeployEngineError as error:  # the script has not begun
            return self._conclude(claimed, Outcome(RunState.FAILED, None, str(error)), None, {})
        outputs: Outputs = {}
        try:
            outcome = self._await_end(claimed, ticket, stream, wake, deadline)
            stream.finish()
            outputs = outputs_to_store(ticket.outputs(), secrets, self._seal)
        except Exception as error:
            if not isinstance(error, StepError):
                log.exception("%s cannot be followed", run_id(claimed.run.id))
            outcome = _given_up(ticket, error)
        try:
            return self._conclude(claimed, outcome, stream, outputs)
        finally:
            ticket.clean()

    def _conclude(
        self,
        claimed: Claimed,
        outcome: Outcome,
        stream: OutputStream | None,
        outputs: Outputs,
    ) -> Outcome:
        """Records the end, however long the database takes to answer, and hands on.

        The machine stays held meanwhile: its next user must not overtake this record.
        """
        followed_by, last = outlast(
            lambda: self._record(claimed, outcome, stream, outputs),
            f"the end of {run_id(claimed.run.id)}",
        )
        log.info("%s %s", run_label(claimed.deployment, claimed.plan, claimed.run), outcome.state)
        self._hand_on(claimed, followed_by, last=last)
        return outcome

    def _deadline(self, step: Step) -> float | None:
        """When the step's time is up, on the monotonic clock; taken before the script begins."""
        return (
            None if step.timeout_seconds is None else self._clock.monotonic() + step.timeout_seconds
        )

    def _await_end(
        self,
        claimed: Claimed,
        ticket: Ticket,
        stream: OutputStream,
        wake: Wake,
        deadline: float | None,
    ) -> Outcome:
        while True:
            left = None if deadline is None else deadline - self._clock.monotonic()
            if left is not None and left <= 0:
                ticket.cancel()
                return Outcome(
                    RunState.FAILED, None, f"timed out after {claimed.step.timeout_seconds:g} s"
                )
            pause = self._output_interval
            if left is not None:
                pause = min(pause, timedelta(seconds=left))
            status = ticket.wait(pause, wake)
            if status.state is not State.RUNNING:
                return _outcome(status)
            if wake.is_set():
                ticket.cancel()
                return Outcome(RunState.CANCELLED, None, "cancelled")
            try:
                stream.save()
            except Unreachable as error:
                log.warning("%s runs on without its output: %s", run_id(claimed.run.id), error)

    def _record(
        self,
        claimed: Claimed,
        outcome: Outcome,
        stream: OutputStream | None,
        outputs: Outputs,
    ) -> tuple[RunRecord | None, bool]:
        """Puts the end on record; the attempt that follows, and whether the step ended with it."""
        run = claimed.run
        rest = stream.rest if stream is not None else None
        with self._database.write("end") as tx:
            now = self._clock.now()
            retry = self._may_retry(tx, claimed, outcome)
            ended = tx.runs.end(
                run.id,
                outcome.state,
                now,
                outcome.exit_code,
                outcome.message,
                dict(outputs) or None,
            )
            if not ended:
                return None, False
            if rest is not None:
                tx.outputs.append(run.id, *rest)
            if claimed.planned.touched:
                tx.claims.untouch([run.id])
            if retry:
                return self._retry(tx, claimed, now), False
            return None, tx.steps.count_down(run.deployment_id, run.step, 1, now)

    def _hand_on(self, claimed: Claimed, followed_by: RunRecord | None, *, last: bool) -> None:
        entering = [for_run(claimed.deployment, claimed.plan, followed_by)] if followed_by else []
        self._handoff.exchange(leaving=[run_id(claimed.run.id)], entering=entering)
        if last:
            self._handoff.resume(claimed.run.deployment_id)

    def _may_retry(self, tx: Transaction, claimed: Claimed, outcome: Outcome) -> bool:
        """Asked before the run's row is written: who cancels locks in this order, too."""
        if outcome.state is not RunState.FAILED or claimed.run.attempt > claimed.step.retries:
            return False
        deployment = tx.deployments.locked(claimed.deployment.id)
        return deployment is not None and deployment.cancel_requested_at is None

    def _retry(self, tx: Transaction, claimed: Claimed, now: datetime) -> RunRecord:
        again = tx.runs.add_attempt(claimed.run, tx.counters.draw(TICKET), now)
        tx.claims.touch({again.id: claimed.planned.touched})
        return again


def _given_up(ticket: Ticket, error: Exception) -> Outcome:
    """A run that can't be followed is ended, as its machine is about to be handed on."""
    try:
        ticket.cancel()
    except StepError as still:
        return Outcome(RunState.UNKNOWN, None, f"{error}; it may still run: {still}")
    return Outcome(RunState.FAILED, None, str(error))


def _outcome(status: Status) -> Outcome:
    if status.state is State.EXITED:
        if status.exit_code == 0:
            return Outcome(RunState.SUCCEEDED, 0)
        return Outcome(RunState.FAILED, status.exit_code, f"exit code {status.exit_code}")
    return Outcome(
        RunState.UNKNOWN,
        None,
        "the script began and is gone without an exit code; see what it did on the machine",
    )
