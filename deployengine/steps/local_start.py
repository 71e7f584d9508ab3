"""Starting a ticket on this machine; ``fences`` says why it goes this way."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from deployengine import failpoints
from deployengine.steps import children, processes, ticket
from deployengine.steps.contract import OnStale, Started, Work
from deployengine.steps.errors import CannotStart, StaleFence
from deployengine.steps.faults import refusal
from deployengine.steps.fences import Fences, Held, held_by
from deployengine.steps.local_machine import LocalMachine
from deployengine.steps.local_ticket import LocalTicket
from deployengine.steps.neighbours import Neighbours
from deployengine.steps.ticket import Begun
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.steps")

_HERE = Path(__file__).parent
_WRAPPER = str(_HERE / "wrapper.sh")
_TOOLS = str(_HERE / "tools")

#: How long a start waits before it looks at the machine again, to begin with: seconds. A wrapper
#: ends so shortly after its last record that this is mostly enough.
_SHORTEST_PAUSE = 0.002

#: The protections that stand in the wrapper.
_IN_WRAPPER = ("revoked", "start-once")


class LocalWorkTicket(LocalTicket):
    """A run on this machine that can be started."""

    def __init__(self, machine: LocalMachine, work: Work) -> None:
        super().__init__(machine, work.ticket, work.grace)
        self._work = work
        #: Whether a revoked start of this very ticket is about to take its record back.
        self._doubt = False
        self._holds = held_by(work.locks)
        self._fences = Fences(machine.tickets)
        self._neighbours = Neighbours(machine, work.ticket)

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        end = time.monotonic() + (math.inf if patience is None else patience.total_seconds())
        with self._faults():
            self._refuse_revoked()
            if self._has_begun():
                return _not_first()
            self._folder.make()
            self._fill()
            while True:
                held = self._hold(wake, end)
                if isinstance(held, Started):
                    return held
                with closing(held):
                    failpoints.hit("ticket.start.before")
                    said = self._spawn(held)
                    failpoints.hit("ticket.start.after")
                started = self._came_to(said)
                if started is Started.FIRST:
                    return started
                if self._has_begun():
                    return _not_first()

    def output(self, offset: int, limit: int = 65536) -> bytes:
        return b"" if self._is_anothers() else super().output(offset, limit)

    def outputs(self) -> dict[str, str]:
        return {} if self._is_anothers() else super().outputs()

    def clean(self) -> None:
        if not self._is_anothers():  # whose is left to whoever tidies up
            super().clean()

    def _begun(self) -> Begun | None:
        begun = super()._begun()
        return self._folder.of_another_run(begun) if begun and self._is_of_another(begun) else begun

    def _is_anothers(self) -> bool:
        """Whether what lies in the folder is another run's, of a database that is no more."""
        with self._faults():
            begun = super()._begun()
        return begun is not None and self._is_of_another(begun)

    def _is_of_another(self, begun: Begun) -> bool:
        earlier = self._work.earlier
        if begun.damage or begun.cancelled or earlier is None:
            return False
        return begun.fence not in (self._work.fence, *earlier)

    def _was_removed(self) -> bool:
        """A start makes the folder before it signs; so who removed it was somebody else.

        Whether the script began then, nobody knows. (A shared start signs nothing.)
        """
        if self._folder.exists() or not any(lock.exclusive for lock in self._work.locks):
            return False
        signers = (self._fences.signed_by(e.resource) for e in self._work.locks if e.exclusive)
        return self._work.ticket in signers

    def _refuse_revoked(self) -> None:
        if self._fences.revoked(self._work.fence):
            raise self._revoked()

    def _revoked(self) -> StaleFence:
        failpoints.hit("branch.revoked")
        return StaleFence(
            f"ticket {self._work.ticket}: its fence {self._work.fence} was revoked on this "
            "machine; nothing was started. Let whoever has the run now start it"
        )

    def _has_begun(self) -> bool:
        """Whether the script has begun. In doubt no: its wrapper may yet take its record back."""
        self._doubt = False
        begun = self._begun()
        if begun is None or failpoints.left_out("start-once"):
            return False
        if begun.leader is None or not self._fences.revoked(begun.fence):
            return True
        alive = processes.leads(begun.leader)  # asked first: once it is gone, it decides no more
        if self._folder.is_under_way():
            return True
        if alive:
            self._doubt = True
            return False
        self._record = None
        return self._begun() is not None

    def _fill(self) -> None:
        try:
            self._folder.fill(self._work)
        except FileNotFoundError as error:
            raise CannotStart(
                f"ticket {self._work.ticket}: its folder {self._folder.path} was removed while it "
                "was about to start; nothing ran. See who has the run now"
            ) from error

    def _hold(self, wake: Wake | None, end: float) -> Held | Started:
        """The locks of the machine, however long it takes; or why nothing is to be started."""
        pause = _SHORTEST_PAUSE
        told = False
        while self._doubt or (held := self._take()) is None:
            if self._has_begun():
                return _not_first()
            self._refuse_revoked()
            if not told:
                failpoints.hit("branch.machine-held")
                log.info("ticket %s waits on its machine for %s", self._work.ticket, self._whom())
                told = True
            if self._work.on_stale is OnStale.TERMINATE:
                self._end_older()
            left = end - time.monotonic()
            if left <= 0 or (wake and wake.is_set()):
                return Started.CALLED_OFF
            processes.until_one_ends(processes.nobody, min(left, pause), wake, pidfds=False)
            pause = min(2 * pause, processes.LOOK_EVERY)
        return held

    def _take(self) -> Held | None:
        held = self._fences.take(self._work)
        if held is None:
            return None
        try:
            if self._held_without_lock(held):
                held.close()
                return None
            self._fences.sign(held, self._work)
        except BaseException:
            held.close()
            raise
        return held

    def _held_without_lock(self, held: Held) -> bool:
        """Whether a script whose wrapper was killed still runs on with what this start needs."""
        if failpoints.left_out("machine-lock"):
            return False
        alone = any(lock.exclusive for lock in self._holds)
        return bool(self._neighbours.holding(self._holds, None if alone else held.last))

    def _whom(self) -> str:
        neighbours = self._neighbours.holding(self._holds)
        names = (f"{each.ticket} (fence {each.fence})" for each in neighbours)
        return ", ".join(names) or "another start"

    def _end_older(self) -> None:
        neighbours = self._neighbours.holding(self._holds)
        older = [each for each in neighbours if each.fence < self._work.fence]
        for each in older:
            log.warning("ticket %s ends the older %s", self._work.ticket, each.ticket)
        self._neighbours.end(older)

    def _spawn(self, held: Held) -> bytes:
        machine, folder, work = self._machine, self._folder, self._work
        wrapper = (
            *(_WRAPPER, str(folder.path), str(folder.workdir), str(work.fence)),
            *(ticket.render_holds(work.grace, self._holds), machine.umask, _odd()),
        )
        command = (*machine.shell, *wrapper, *ticket.interpreter(work.script), str(folder.script))
        try:
            return children.spawn(command, self._environment(), held.handed)
        except OSError as error:
            raise CannotStart(refusal(error, work, command[0])) from error

    def _came_to(self, said: bytes) -> Started:
        lines = said.decode("utf-8", "replace").splitlines() or [""]
        if lines[-1] == "begun":
            self._began = True
            return Started.FIRST
        if lines[-1] == "attached":
            return Started.ATTACHED
        if lines[-1] == "revoked":
            raise self._revoked()
        with self._faults():
            self._refuse_revoked()  # then its folder may be gone, which is no other trouble
            if self._has_begun():  # killed when it had made its record
                return Started.FIRST
        reason = " ".join(lines).strip() or "its shell was killed"
        raise CannotStart(
            f"ticket {self._work.ticket} could not begin in {self._folder.workdir} ({reason}); "
            "nothing ran: mend that and start it again"
        )

    def _environment(self) -> Mapping[str, str]:
        """The worker's environment without the engine's own settings, which hold its passwords."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
        environment = {**inherited, **self._work.environment}
        environment["PATH"] = f"{_TOOLS}:{environment.get('PATH', os.defpath)}"
        environment["DEPLOYENGINE_TICKET_FOLDER"] = str(self._folder.path)
        return environment


def _not_first() -> Started:
    failpoints.hit("branch.not-first")
    return Started.ATTACHED


def _odd() -> str:
    """What the wrapper shall do against the rule, for a battery; empty otherwise."""
    without = [f"without:{name}" for name in _IN_WRAPPER if failpoints.left_out(name)]
    return " ".join(filter(None, (*without, failpoints.handed_on())))
