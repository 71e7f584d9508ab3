"""Carrying out step runs: claim, start the ticket, stream its output, record its end, hand on.

A run whose worker was lost is picked up: whoever took it over follows the script that is running,
from where its output in the database ends. Nothing is started a second time: a script that has not
begun is given to a free slot like any other, and one that is gone without an end is UNKNOWN.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from deployengine import failpoints
from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import DeployEngineError, Unreachable
from deployengine.domain.identity import run_id
from deployengine.domain.plan import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.claims import Claimed, Claims, Inherited, Relinquished
from deployengine.engine.endings import Endings, Outcome, Outputs
from deployengine.engine.handoff import HandOff
from deployengine.engine.lease import Lease
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.requests import run_label
from deployengine.engine.slots import Slots
from deployengine.engine.work import Seal, outputs_to_store, work_of
from deployengine.locks import Grant
from deployengine.persistence import Database
from deployengine.steps.contract import Runner, Started, State, Status, Ticket, WorkTicket
from deployengine.steps.errors import StaleFence, StepError
from deployengine.steps.masking import Masker
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.runs")

RunnerOf = Callable[[Machine], Runner]

__all__ = ["BeyondUs", "Outcome", "StepRuns"]

#: How often in a row a script may not be visible before it is given up.
MOST_TROUBLES = 10


class BeyondUs(Exception):
    """This process cannot carry on a run that others may: its master key is another one."""


class _LetGo(Exception):
    """This process is ending and leaves its scripts to other workers."""


@dataclass(frozen=True, slots=True)
class _Following:
    """A run whose script has begun, or is about to, with what it takes to see it to its end.

    ``deadline`` is on the monotonic clock, ``None``: it may run for ever.
    """

    claimed: Claimed
    ticket: WorkTicket
    secrets: frozenset[str]
    stream: OutputStream
    wake: Wake
    deadline: float | None


class StepRuns:
    """Runs scripts; one call of :meth:`execute` is one slot taken."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        lease: Lease,
        runner_of: RunnerOf,
        seal: Seal,
        unseal: Unseal,
        *,
        task_cap: int,
        output_interval: timedelta,
        grace: timedelta,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self.claims = Claims(database, handoff, archive, clock)
        self._endings = Endings(database, handoff, clock)
        self._clock = clock
        self._lease = lease
        self._runner_of = runner_of
        self._seal = seal
        self._unseal = unseal
        self._slots = Slots(task_cap)
        self._output_interval = output_interval
        self._grace = grace
        self._wakes: dict[int, Wake] = {}
        self._wakes_lock = threading.Lock()
        self._letting_go = False
        self._pause = threading.Event()  # never set: to wait by

    def execute(self, number: int, granted_at: datetime) -> Outcome | None:
        """Carries a granted run out to its end; ``None`` when it was not waiting any more.

        Whatever goes wrong with the run is its outcome. Raises ``Unreachable`` when it could not
        even be claimed.
        """
        with Wake() as wake:
            if not self._register(number, wake):  # before the claim, so that no cancel is missed
                failpoints.hit("branch.duplicate")
                return None  # the message came twice, and the run is being carried out here
            try:
                with self._slots.one():
                    self._check_let_go()
                    if not self._lease.good():
                        self._renew("nothing is begun")
                    claimed = self.claims.claim(number, granted_at, self._lease.name)
                    return self._begin(claimed, wake) if claimed else None
            except (Relinquished, _LetGo) as gone:
                self._tell_gone(number, gone)
                return None
            finally:
                self._unregister(number)

    def pick_up(self, inherited: Inherited) -> Outcome | None:
        """Sees a run that was taken over to its end; ``None`` when others do that."""
        number = inherited.claimed.run.id
        with Wake() as wake:
            if not self._register(number, wake):
                return None
            try:
                with self._slots.besides():
                    return self._attach(inherited, wake)
            except (Relinquished, _LetGo) as gone:
                self._tell_gone(number, gone)
                return None
            finally:
                self._unregister(number)

    def cancel(self, numbers: Iterable[int]) -> None:
        """Ends those of the runs that this process carries out; returns at once."""
        with self._wakes_lock:
            for number in numbers:
                if number in self._wakes:
                    self._wakes[number].set()  # under the lock: it is closed once unregistered

    def carries_out(self, number: int) -> bool:
        """Whether this process is at work on the run."""
        with self._wakes_lock:
            return number in self._wakes

    def let_go(self) -> None:
        """Follows no script any more, and begins none; those that run go on by themselves."""
        self._letting_go = True
        with self._wakes_lock:
            for wake in self._wakes.values():
                wake.set()

    def _register(self, number: int, wake: Wake) -> bool:
        with self._wakes_lock:
            if self._letting_go:
                wake.set()
            return self._wakes.setdefault(number, wake) is wake

    def _unregister(self, number: int) -> None:
        with self._wakes_lock:
            del self._wakes[number]

    def _tell_gone(self, number: int, why: Exception) -> None:
        if isinstance(why, Relinquished):
            failpoints.hit("branch.taken-over")
            silence = self._lease.silence
            log.warning(
                "%s is carried on by %s; last sign %.1f s ago", run_id(number), why, silence
            )

    # ---- beginning ----

    def _begin(self, claimed: Claimed, wake: Wake) -> Outcome | None:
        try:
            following = self._following(claimed, wake, None)
            self._assert_entitled(claimed)
            patience = self._left(following.deadline)
            started = following.ticket.start(wake, patience)
        except StaleFence as error:
            # The run has gone to another worker; if not, the machine knows of a later one.
            self._assert_owned(claimed)
            return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, str(error)))
        except DeployEngineError as error:  # the script has not begun
            return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, str(error)))
        if started is Started.CALLED_OFF:
            return self._call_off(following)
        return self._follow(following)

    def _following(
        self, claimed: Claimed, wake: Wake, stored: tuple[int, int] | None
    ) -> _Following:
        work, secrets = work_of(
            claimed.run,
            claimed.deployment,
            claimed.snapshot,
            claimed.step,
            claimed.planned,
            claimed.earlier,
            self._unseal,
            self._grace,
        )
        ticket = self._runner_of(claimed.machine).ticket(work)
        stream = OutputStream(self._database, claimed, ticket, Masker(secrets), stored)
        timeout = claimed.step.timeout_seconds
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        return _Following(claimed, ticket, secrets, stream, wake, deadline)

    def _assert_entitled(self, claimed: Claimed) -> None:
        """Raises :class:`Relinquished` when this worker was silent, and lost its run by that."""
        while not self._lease.good():
            outlast(lambda: self._renew(f"{run_id(claimed.run.id)} is not begun"), "a sign of life")
            self._assert_owned(claimed)

    def _renew(self, consequence: str) -> None:
        if self._lease.name:
            failpoints.hit("branch.self-fenced")
            log.warning("no sign of life for %.1f s: %s yet", self._lease.silence, consequence)
        self._lease.beat()

    def _assert_owned(self, claimed: Claimed) -> None:
        if not outlast(lambda: self.claims.owned(claimed), f"{run_id(claimed.run.id)}'s owner"):
            raise Relinquished("another worker")

    def _call_off(self, following: _Following) -> Outcome:
        """Ends a run whose start was still waiting for the machine."""
        self._check_let_go()
        self._assert_owned(following.claimed)
        cancelled = following.wake.is_set()
        outcome = Outcome(RunState.CANCELLED, None, "cancelled") if cancelled else None
        outcome = outcome or _timed_out(following.claimed, "while an older script held the machine")
        with suppress(StepError):
            following.ticket.cancel()  # should another start be under way, it begins nothing
        return self._conclude(following, outcome, {})

    # ---- picking up ----

    def _attach(self, inherited: Inherited, wake: Wake) -> Outcome | None:
        claimed = inherited.claimed
        label = run_label(claimed.deployment, claimed.plan, claimed.run)
        try:
            following = self._following(claimed, wake, inherited.stored)
        except DeployEngineError as error:
            self.claims.hand_over(inherited)
            raise BeyondUs(str(error)) from error
        status = self._inspect(inherited, following)
        if status.state is State.ABSENT and not any(inherited.stored):
            return self._put_back(following)
        failpoints.hit("branch.attach")
        log.info("%s is picked up (%s)", label, status.state.value)
        timeout = claimed.step.timeout_seconds
        if timeout is not None and status.seconds is not None:
            deadline = self._clock.monotonic() + timeout - status.seconds
            following = replace(following, deadline=deadline)
        return self._follow(following)

    def _inspect(self, inherited: Inherited, following: _Following) -> Status:
        """Where the script is, once the machine lets no earlier start begin it any more.

        A machine that cannot be asked is asked again, however long: nothing is known of the run.
        """
        runner = self._runner_of(inherited.claimed.machine)
        told = False
        while True:
            try:
                for fence in inherited.revoked:
                    runner.revoke(fence)
                return following.ticket.status()
            except StepError as error:
                if not told:
                    number = run_id(inherited.claimed.run.id)
                    log.warning("%s cannot be picked up yet: %s", number, error)
                    told = True
            self._pause.wait(self._output_interval.total_seconds())
            self._check_let_go()
            self._assert_owned(inherited.claimed)

    def _put_back(self, following: _Following) -> Outcome | None:
        """Gives a run that no start will begin any more to a slot that begins it."""
        claimed = following.claimed
        if failpoints.left_out("put-back"):
            return self._conclude(following, Outcome(RunState.FAILED, None, "never begun"), {})
        number, granted_at = claimed.run.id, claimed.run.granted_at
        if outlast(lambda: self.claims.put_back(claimed), f"{run_id(number)}'s return"):
            failpoints.hit("branch.put-back")
            label = run_label(claimed.deployment, claimed.plan, claimed.run)
            log.info("%s had not begun: any free slot may begin it", label)
            if granted_at is not None:
                with suppress(Unreachable):  # housekeeping sends it then
                    self._handoff.dispatch([Grant(run_id(number), granted_at, label)])
            return None
        self._assert_owned(claimed)  # else it is to be cancelled
        following.ticket.cancel()
        return self._conclude(following, Outcome(RunState.CANCELLED, None, "cancelled"), {})

    # ---- following ----

    def _follow(self, following: _Following) -> Outcome | None:
        try:
            outcome = self._await_end(following)
        except (Relinquished, _LetGo):
            raise
        except Exception as error:
            if not isinstance(error, StepError):
                log.exception("%s cannot be followed", run_id(following.claimed.run.id))
            self._assert_owned(following.claimed)
            outcome = _given_up(following.ticket, error)
        if outcome is None:
            return self._put_back(following)
        outcome, outputs = self._read_out(following, outcome)
        return self._conclude(following, outcome, outputs)

    def _read_out(self, following: _Following, outcome: Outcome) -> tuple[Outcome, Outputs]:
        """Reads what is left to read. What cannot be read does not change how the script ended."""
        try:
            following.stream.finish()
            outputs = following.ticket.outputs()
            return outcome, outputs_to_store(outputs, following.secrets, self._seal)
        except StepError as error:
            known = f"{outcome.message}; " if outcome.message else ""
            message = f"{known}what it printed could not be read to the end: {error}"
            return replace(outcome, message=message), {}

    def _conclude(self, following: _Following, outcome: Outcome, outputs: Outputs) -> Outcome:
        if outcome.state is RunState.UNKNOWN:
            failpoints.hit("branch.unknown")
        self._endings.conclude(following.claimed, outcome, following.stream, outputs)
        try:
            following.ticket.clean()
        except StepError as error:
            log.warning("the ticket is removed later: %s", error)
        return outcome

    def _await_end(self, following: _Following) -> Outcome | None:
        """How the script ended; ``None`` when it turned out that it never began.

        The wrapper of a start that was revoked makes its record, sees that, and takes it back.
        """
        claimed, ticket, wake = following.claimed, following.ticket, following.wake
        troubles = 0
        while True:
            left = self._left(following.deadline)
            if left is not None and left <= timedelta():
                self._assert_owned(claimed)
                ticket.cancel()
                return _timed_out(claimed)
            pause = self._output_interval if left is None else min(self._output_interval, left)
            try:
                status = ticket.wait(pause, wake)
                troubles = 0
            except StepError as error:  # passing, perhaps: no reason to end a script
                troubles += 1
                if troubles > MOST_TROUBLES:
                    raise
                log.warning("%s cannot be seen: %s", run_id(claimed.run.id), error)
                wake.wait(pause.total_seconds())
                status = Status(State.RUNNING)
            self._check_let_go()
            if status.state is State.ABSENT and claimed.run.revoked and not following.stream.any:
                return None
            if status.state is not State.RUNNING:
                return _outcome(status)
            if wake.is_set():
                self._assert_owned(claimed)
                ticket.cancel()
                return Outcome(RunState.CANCELLED, None, "cancelled")
            try:
                following.stream.save()
            except (StepError, Unreachable) as error:
                log.warning("%s runs on without its output: %s", run_id(claimed.run.id), error)

    def _left(self, deadline: float | None) -> timedelta | None:
        return None if deadline is None else timedelta(seconds=deadline - self._clock.monotonic())

    def _check_let_go(self) -> None:
        if self._letting_go:
            raise _LetGo


def _timed_out(claimed: Claimed, when: str = "") -> Outcome:
    text = f"timed out after {claimed.step.timeout_seconds:g} s {when}".rstrip()
    return Outcome(RunState.FAILED, None, text)


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
    if failpoints.left_out("unknown"):
        return Outcome(RunState.SUCCEEDED, 0)
    known = status.known or "its ticket is gone from the machine"
    return Outcome(
        RunState.UNKNOWN,
        None,
        f"the script began and is gone without an exit code: {known}; "
        "see what it did on the machine",
    )
