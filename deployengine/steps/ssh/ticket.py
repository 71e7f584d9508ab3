"""Following a ticket on a machine that is reached by SSH, ending it and removing it."""

from __future__ import annotations

import logging
import math
import time
from datetime import timedelta

from deployengine.domain.errors import DeployEngineError, Unreachable
from deployengine.steps import ticket
from deployengine.steps.contract import State, Status, check_ticket_name
from deployengine.steps.errors import InDoubt, StepError, StillRunning
from deployengine.steps.processes import until_readable
from deployengine.steps.ssh.machine import ANSWER_WITHIN, SshMachine
from deployengine.steps.ssh.stream import Stream, status_of
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.steps")

#: Seconds before a machine that is out of reach is tried again.
RETRY_AFTER = 1.0
#: What the agent gives a group after KILL: seconds.
_LAST_PATIENCE = 10.0


class SshTicket:
    """One run on a machine that is reached by SSH.

    A connection that breaks is made anew, and the run followed from where its output has come to.
    :class:`InDoubt` is raised when the machine was out of reach for longer than its patience; each
    further call tries once more. A wait comes back before its time when there is so much output
    that the machine has to wait until it is read.
    """

    def __init__(self, machine: SshMachine, name: str, grace: timedelta) -> None:
        check_ticket_name(name)
        self._machine = machine
        self.name = name
        self._grace = grace.total_seconds()
        #: The fences under which it may have begun, and what it holds; of a work only.
        self._known = "any"
        self._locks = ""
        self._stream: Stream | None = None
        #: Up to which byte of the output somebody has taken it; a new stream begins there.
        self._taken = 0
        self._ended: Status | None = None
        #: Whether the machine was asked, and said that it does not run any more.
        self._over = False
        #: Whether the script has begun for sure: its record will not be taken back any more.
        self._began = False
        self._lost_since: float | None = None
        #: When a stream broke the last time, on the monotonic clock.
        self._broke = -math.inf

    def status(self) -> Status:
        told = self._ask("status", self.name, self._known, self._locks).decode("utf-8", "replace")
        self._began = self._began or told.endswith("sure\n")
        status = self._vanished(status_of(told.strip()))
        self._over = status.state is not State.RUNNING
        return status

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:
        end = time.monotonic() + timeout.total_seconds()
        while self._ended is None:
            left = end - time.monotonic()
            stream = self._followed(max(left, 0.0), wake)
            if stream is not None:
                stream.forget_news()
                over = stream.over
                if (status := stream.end) is not None:
                    return self._has_ended(status)
                if over:
                    log.warning(
                        "machine %s: the connection broke while %s ran",
                        self._machine.name,
                        self.name,
                    )
                    self._drop_stream()
                    self._rest(left, wake)
                    continue
                if stream.full:
                    return Status(State.RUNNING)
                stream.wait(max(left, 0.0), wake)
                if stream.over:
                    continue
            if end - time.monotonic() <= 0 or (wake and wake.is_set()):
                return Status(State.RUNNING)
        return self._ended

    def output(self, offset: int, limit: int = 65536) -> bytes:
        self._taken = offset  # who asks for what follows has taken what came before
        piece = self._stream.read(offset, limit) if self._stream is not None else None
        # After the end there is no more to come; so what has not come yet is asked for.
        if piece or (piece is not None and (self._ended is not None or not self._over)):
            return piece
        return self._ask("output", self.name, self._known, str(offset), str(limit))

    def outputs(self) -> dict[str, str]:
        if self._ended is not None and self._stream is not None:
            return self._stream.outputs
        return ticket.parse_outputs(self._ask("outputs", self.name, self._known))

    def cancel(self) -> None:
        within = ANSWER_WITHIN + self._grace + _LAST_PATIENCE
        self._ask("cancel", self.name, f"{self._grace:g}", self._known, within=within)

    def clean(self) -> None:
        if self._ask("clean", self.name, self._known):
            raise StillRunning(
                f"machine {self._machine.name}: ticket {self.name} is still running; cancel it "
                "before its folder is removed"
            )
        self._forget()

    def clean_soon(self) -> None:
        self._machine.leftovers.add(self.name, self._known)
        self._forget()

    def _forget(self) -> None:
        self._drop_stream()
        self._ended, self._began, self._over = None, False, False

    def _ask(self, verb: str, *arguments: str, within: float = ANSWER_WITHIN) -> bytes:
        what = f"ticket {self.name}"
        return self._machine.ask(verb, *arguments, within=within, what=what)

    def _vanished(self, status: Status) -> Status:
        """What has begun for sure and is not there any more was removed."""
        if status.state is not State.ABSENT or not self._began:
            return status
        return Status(
            State.UNKNOWN,
            known="its record was removed after the script began, so nobody knows whether its "
            "script ran or runs; see on the machine what it did before it is run again",
        )

    def _has_ended(self, status: Status) -> Status:
        status = self._vanished(status)
        if status.state is State.EXITED and self._stream is not None:
            self._ended = status
            self._stream.hush()
        else:
            self._drop_stream()  # it may yet change
        return status

    def _followed(self, seconds: float, wake: Wake | None) -> Stream | None:
        """The stream; ``None`` while the machine is out of reach, after a pause."""
        if self._stream is not None:
            return self._stream
        words = (self.name, self._known, self._locks, str(self._taken))
        try:
            stream = Stream(self._machine, self._taken, "follow", *words)
        except (StepError, Unreachable) as error:  # passing, perhaps, as a home that is not mounted
            self._miss(error)
            until_readable((wake,), min(seconds, RETRY_AFTER))
            return None
        self._stream, self._lost_since = stream, None
        return stream

    def _rest(self, left: float, wake: Wake | None) -> None:
        """A pause where streams break again and again."""
        now = time.monotonic()
        if now - self._broke < RETRY_AFTER:
            until_readable((wake,), min(max(left, 0.0), RETRY_AFTER))
        self._broke = time.monotonic()

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _miss(self, error: DeployEngineError) -> None:
        """Goes on as long as the machine has not been out of reach for too long."""
        now = time.monotonic()
        if self._lost_since is None:
            self._lost_since = now
            log.warning("%s is out of sight: %s", self.name, error)
        patience = self._machine.way.patience.total_seconds()
        if now - self._lost_since > patience:
            raise InDoubt(
                f"ticket {self.name}: its machine has been out of reach for more than "
                f"{patience:g} s, and the script may have begun, run on, or ended there: {error}"
            ) from error
