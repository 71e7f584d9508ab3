"""Following a script to its end: its output goes to the database, its end on record."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from deployengine import failpoints
from deployengine.domain.deployment import RunState
from deployengine.domain.errors import Unreachable
from deployengine.domain.identity import run_id
from deployengine.engine.bells import Bells, LetGo
from deployengine.engine.claims import Claimed, Claims, Relinquished
from deployengine.engine.endings import Endings, Outcome, Outputs
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.set_outputs import Seal, outputs_to_store
from deployengine.steps.contract import State, Status, Ticket, WorkTicket
from deployengine.steps.errors import StepError
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.runs")

#: How often in a row a script may not be visible before it is given up.
MOST_TROUBLES = 10
#: What is said of a run beside its end where its output met a full disk.
NO_ROOM = (
    "the disk of the machine's tickets was full when the script ended, so what it printed and set "
    "as outputs may not be whole; make room there"
)


@dataclass(frozen=True, slots=True)
class Following:
    """A run whose script has begun, or is about to, with what it takes to see it to its end.

    ``deadline`` is on the monotonic clock, ``None``: it may run for ever.
    """

    claimed: Claimed
    ticket: WorkTicket
    secrets: frozenset[str]
    stream: OutputStream
    wake: Wake
    deadline: float | None


class Follower:
    """Follows scripts, each in the thread that asks.

    Every method raises :class:`Relinquished` when the run is another worker's by now, and
    :class:`LetGo` when this process is ending; the script then runs on.
    """

    def __init__(
        self,
        claims: Claims,
        endings: Endings,
        clock: Clock,
        bells: Bells,
        seal: Seal,
        output_interval: timedelta,
    ) -> None:
        self._claims = claims
        self._endings = endings
        self._clock = clock
        self._bells = bells
        self._seal = seal
        self._output_interval = output_interval

    def follow(self, following: Following) -> Outcome | None:
        """Sees a script to its end, and records it; ``None`` when it turned out to have no begin.

        The wrapper of a start that was revoked makes its record, sees that, and takes it back.
        """
        try:
            outcome = self._await_end(following)
        except (Relinquished, LetGo):
            raise
        except Exception as error:
            if not isinstance(error, StepError):
                log.exception("%s cannot be followed", run_id(following.claimed.run.id))
            self.assert_owned(following.claimed)
            outcome = given_up(following.ticket, error)
        if outcome is None:
            return None
        outcome, outputs = self._read_out(following, outcome)
        return self.conclude(following, outcome, outputs)

    def _read_out(self, following: Following, outcome: Outcome) -> tuple[Outcome, Outputs]:
        """Reads what is left to read. What cannot be read does not change how the script ended."""
        try:
            following.stream.finish()
            outputs = following.ticket.outputs()
            return outcome, outputs_to_store(outputs, following.secrets, self._seal)
        except StepError as error:
            known = f"{outcome.message}; " if outcome.message else ""
            message = f"{known}what it printed could not be read to the end: {error}"
            return replace(outcome, message=message), {}

    def conclude(
        self, following: Following, outcome: Outcome, outputs: Outputs | None = None
    ) -> Outcome:
        """Records an end, hands on, and removes the ticket."""
        if outcome.state is RunState.UNKNOWN:
            failpoints.hit("branch.unknown")
        self._endings.conclude(following.claimed, outcome, following.stream, outputs)
        following.ticket.clean_soon()
        return outcome

    def _await_end(self, following: Following) -> Outcome | None:
        """How the script ended; ``None`` when it turned out that it never began."""
        claimed, ticket, wake = following.claimed, following.ticket, following.wake
        troubles = 0
        while True:
            left = self.left(following.deadline)
            if left is not None and left <= timedelta():
                self.assert_owned(claimed)
                ticket.cancel()
                return timed_out(claimed)
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
            self._bells.check()
            if status.state is State.ABSENT and claimed.run.revoked and not following.stream.any:
                return None
            if status.state is not State.RUNNING:
                if status.disk_full:
                    where = claimed.run.machine
                    log.warning("%s on %s: %s", run_id(claimed.run.id), where, NO_ROOM)
                return _outcome(status)
            if wake.is_set():
                self.assert_owned(claimed)
                ticket.cancel()
                return Outcome(RunState.CANCELLED, None, "cancelled")
            try:
                following.stream.save()
            except (StepError, Unreachable) as error:
                log.warning("%s runs on without its output: %s", run_id(claimed.run.id), error)

    def left(self, deadline: float | None) -> timedelta | None:
        """What is left of a run's time; ``None``: no end of it."""
        return None if deadline is None else timedelta(seconds=deadline - self._clock.monotonic())

    def assert_owned(self, claimed: Claimed) -> None:
        """Goes on only if the run is still this worker's, however long it takes to ask."""
        if not outlast(lambda: self._claims.owned(claimed), f"{run_id(claimed.run.id)}'s owner"):
            raise Relinquished("another worker")


def timed_out(claimed: Claimed, when: str = "") -> Outcome:
    """The outcome of a run whose time was up."""
    text = f"timed out after {claimed.step.timeout_seconds:g} s {when}".rstrip()
    return Outcome(RunState.FAILED, None, text)


def given_up(ticket: Ticket, error: Exception) -> Outcome:
    """A run that can't be followed is ended, as its machine is about to be handed on.

    One that turns out to have ended well has ended well.
    """
    try:
        ticket.cancel()
        status = ticket.status()
    except StepError as still:
        return Outcome(RunState.UNKNOWN, None, f"{error}; it may still run: {still}")
    if status.state is State.UNKNOWN or status.exit_code == 0:
        return _outcome(status)
    return Outcome(RunState.FAILED, None, str(error))


def _outcome(status: Status) -> Outcome:
    if status.state is State.EXITED:
        cut = NO_ROOM if status.disk_full else None
        if status.exit_code == 0:
            return Outcome(RunState.SUCCEEDED, 0, cut)
        code = f"exit code {status.exit_code}"
        return Outcome(RunState.FAILED, status.exit_code, f"{code}; {cut}" if cut else code)
    if failpoints.left_out("unknown"):
        return Outcome(RunState.SUCCEEDED, 0)
    known = status.known or "its ticket is gone from the machine"
    return Outcome(
        RunState.UNKNOWN,
        None,
        f"the script began and is gone without an exit code: {known}; "
        "see what it did on the machine",
    )
