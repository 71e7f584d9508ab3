"""Starting a ticket on a machine that is reached by SSH.

One request carries the script there, begins it and streams its output. Where the connection breaks
before the machine has told whether it began, nobody knows; the same request is sent again then, and
either begins the script or finds it begun, as a ticket begins once.
"""

from __future__ import annotations

import logging
import math
import re
import time
from datetime import timedelta

from deployengine import failpoints
from deployengine.domain.errors import DeployEngineError
from deployengine.steps import ticket
from deployengine.steps.contract import Started, Work
from deployengine.steps.errors import (
    CannotStart,
    InDoubt,
    MachineUnreachable,
    StaleFence,
    WorkRefused,
)
from deployengine.steps.fences import held_by, lock_file
from deployengine.steps.ssh import agent
from deployengine.steps.ssh.faults import no_agent, raise_fault
from deployengine.steps.ssh.machine import ANSWER_WITHIN, SshMachine
from deployengine.steps.ssh.stream import Heard, Stream
from deployengine.steps.ssh.ticket import RETRY_AFTER, SshTicket
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.steps")

#: Seconds between two looks at the bell while a machine tells nothing.
_LOOK_EVERY = 1.0
#: Seconds that a machine is given to tell of a start although somebody has rung the bell.
_MOMENT = 5.0

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SshWorkTicket(SshTicket):
    """A run on a machine that is reached by SSH, and can be started."""

    def __init__(self, machine: SshMachine, work: Work) -> None:
        super().__init__(machine, work.ticket, work.grace)
        for name in work.environment:
            if not _IDENTIFIER.fullmatch(name):
                raise WorkRefused(
                    f"ticket {work.ticket}: environment variable {name!r} can't be set by a shell; "
                    "use letters, digits and _"
                )
        self._work = work
        if work.earlier is not None:
            self._known = " ".join(map(str, (work.fence, *work.earlier)))
        self._locks = _locks(work)
        #: Whether a start may have reached the machine without an answer.
        self._doubtful = False

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        """As the contract says; raises :class:`InDoubt` where nobody knows whether it began."""
        try:
            return self._start(wake, patience)
        except (StaleFence, InDoubt):
            raise
        except DeployEngineError as error:
            if not self._doubtful:
                raise
            raise InDoubt(
                f"ticket {self.name}: it was sent to its machine, which did not tell whether it "
                f"began, and now: {error}"
            ) from error

    def _start(self, wake: Wake | None, patience: timedelta | None) -> Started:
        end = math.inf if patience is None else time.monotonic() + patience.total_seconds()
        sent = agent.bundle(self._work.script, self._work.variables, self._work.environment)
        renewed = False
        while True:
            failpoints.hit("ticket.start.before")
            try:
                stream = self._send(sent)
            except MachineUnreachable as error:
                if not self._doubtful:
                    raise
                self._go_on_trying(error, wake)
                continue
            try:
                heard = self._hear(stream, wake, end)
            except BaseException:
                self._doubtful = True
                stream.close()
                raise
            failpoints.hit("ticket.start.after")
            if heard is not None:
                return self._came_to(stream, heard)
            stream.close()
            whole, greeted = stream.channel.whole, stream.channel.greeted
            if whole and not greeted and not renewed:
                renewed = True  # the agent is gone from there: it is sent along once more
                self._machine.close()
            elif whole and not greeted:
                raise no_agent(self._machine.name, stream.channel)
            else:
                self._doubtful = True
                lost = MachineUnreachable(
                    f"machine {self._machine.name}: it did not tell what became of the start"
                )
                self._go_on_trying(lost, wake)

    def _go_on_trying(self, error: MachineUnreachable, wake: Wake | None) -> None:
        """A pause before a start is sent again; no pause before the first time."""
        self._miss(error)
        self._rest(RETRY_AFTER, wake)
        if wake and wake.is_set():
            raise InDoubt(
                f"ticket {self.name}: its script was about to begin, and nobody knows whether it "
                f"did: {error}"
            ) from error

    def _send(self, sent: bytes) -> Stream:
        self._machine.connect_once()
        work = self._work
        who = (work.ticket, str(work.fence), self._known, work.on_stale.value)
        holds = ticket.render_holds(work.grace, held_by(work.locks))
        how = (self._machine.umask, holds, self._locks)
        gone = self._machine.leftovers.take()
        return Stream(self._machine, 0, "start", *who, *how, *gone, stdin=sent)

    def _hear(self, stream: Stream, wake: Wake | None, end: float) -> Heard | None:
        """What the machine tells of the start; ``None`` when it ended without a word."""
        told = False
        bell = wake
        sent = time.monotonic()
        while True:
            stream.forget_news()
            over = stream.over  # asked first: what it told comes before its end
            heard = stream.heard
            if heard is not None and heard.what != "waits":
                return heard
            # A bell leaves a machine that has told nothing yet a moment to do so.
            silence = _MOMENT if bell and bell.is_set() else ANSWER_WITHIN
            if over or (heard is None and time.monotonic() - sent >= silence):
                return None
            if heard is not None:
                process, _, whom = heard.rest.partition(" ")
                if not told:
                    log.info("ticket %s waits on its machine for %s", self.name, _holders(whom))
                    told = True
                if time.monotonic() >= end or (bell and bell.is_set()):
                    if self._called_off(process):
                        return Heard("fault", "off")
                    bell, end = None, math.inf  # it was about to begin, and will tell so
            waits = heard is not None
            left = end - time.monotonic() if waits else _LOOK_EVERY
            stream.wait(max(min(left, _LOOK_EVERY), 0.0), bell if waits else None)

    def _called_off(self, process: str) -> bool:
        """Whether a start that waits there begins nothing any more; no: it is about to."""
        try:
            return self._ask("calloff", self.name, process).strip() == b"off"
        except DeployEngineError as error:
            raise InDoubt(
                f"ticket {self.name}: it waited on its machine, and may yet begin there: {error}"
            ) from error

    def _came_to(self, stream: Stream, heard: Heard) -> Started:
        if heard.what != "fault":
            self._stream, self._lost_since = stream, None
            self._began = heard.what == "begun"
            return Started.FIRST if heard.what == "begun" else Started.ATTACHED
        stream.close()
        kind, _, rest = heard.rest.partition(" ")
        name, fence = self.name, self._work.fence
        if kind == "off":
            return Started.CALLED_OFF
        if kind == "revoked":
            failpoints.hit("branch.revoked")
            raise StaleFence(
                f"ticket {name}: its fence {fence} was revoked on machine {self._machine.name}; "
                "nothing was started. Let whoever has the run now start it"
            )
        if kind == "stale":
            failpoints.hit("branch.stale-fence")
            file, newest, *holder = rest.split()
            raise StaleFence(
                f"machine {self._machine.name}: ticket {name}: its fence {fence} is out of date: "
                f"{self._resource(file)} has seen {newest} of {' '.join(holder) or 'another'} "
                "since; nothing was started. Whoever has the run now may start it. If the database "
                "was made anew or restored: see that nothing runs there, then remove the folder "
                ".fences of its tickets"
            )
        if kind in ("start", "gone", "cut"):
            said = " ".join(stream.channel.said) or rest or "its connection broke"
            if "too long" in said:
                said = "its environment is too large: let the script call get_variable instead"
            raise CannotStart(
                f"machine {self._machine.name}: ticket {name} could not begin ({said}); nothing "
                "ran: mend that and start it again"
            )
        raise_fault(self._machine.name, stream.channel, f"ticket {name}")
        raise AssertionError(heard.rest)

    def _resource(self, file: str) -> str:
        named = (lock.resource for lock in self._work.locks if lock_file(lock.resource) == file)
        return next(named, file)


def _holders(words: str) -> str:
    """Who holds what a start waits for, from the agent's words ``ticket/fence/grace``."""
    told = [
        f"{ticket} (fence {rest.partition('/')[0]})"
        for ticket, slash, rest in (word.partition("/") for word in words.split())
        if slash
    ]
    return ", ".join(told) or words.strip()


def _locks(work: Work) -> str:
    """The locks as the agent reads them: x or s and the file, capital where it is not locked.

    What is locked comes first: if it is the machine alone, it guards the others' fences.
    """
    held = {lock.resource: lock.exclusive for lock in held_by(work.locks)}
    exclusive = {lock.resource for lock in work.locks if lock.exclusive}
    words = []
    for resource in sorted(
        {lock.resource for lock in work.locks}, key=lambda each: (each not in held, each)
    ):
        mode = "x" if resource in exclusive else "s"
        if resource not in held:
            mode = mode.upper()
        elif held[resource] and mode == "s":
            mode = "l"
        words.append(f"{mode}:{lock_file(resource)}")
    return " ".join(words)
