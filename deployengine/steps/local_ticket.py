"""Following a ticket on this machine, ending it and removing it."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import partial

from deployengine import failpoints
from deployengine.steps import children, processes, ticket
from deployengine.steps.contract import State, Status, check_ticket_name
from deployengine.steps.errors import StepError, StillRunning
from deployengine.steps.faults import faults
from deployengine.steps.known import of_unknown
from deployengine.steps.local_machine import LocalMachine
from deployengine.steps.processes import Find, nobody
from deployengine.steps.ticket import Begun
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.steps")

#: How long processes may take to vanish after KILL: seconds.
_LAST_PATIENCE = 10.0


class LocalTicket:
    """One run on this machine."""

    def __init__(self, machine: LocalMachine, name: str, grace: timedelta) -> None:
        check_ticket_name(name)
        self._machine = machine
        self._grace = grace.total_seconds()
        self._folder = machine.folder(name)
        self._record: Begun | None = None
        #: Whether this handle was told that the script began, record or not.
        self._began = False

    def status(self) -> Status:
        with self._faults():
            status, _ = self._look()
        return status

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:
        end = time.monotonic() + timeout.total_seconds()
        with self._faults():
            status, awaited = self._look()
            while status.state is State.RUNNING:
                left = end - time.monotonic()
                if left <= 0 or (wake and wake.is_set()):
                    break
                processes.until_one_ends(awaited, left, wake, self._machine.pidfds)
                status, awaited = self._look()
        children.bury()
        return status

    def output(self, offset: int, limit: int = 65536) -> bytes:
        failpoints.hit("ticket.output.before")
        with self._faults():
            output = self._folder.output(offset, limit)
        failpoints.hit("ticket.output.after")
        return output

    def outputs(self) -> dict[str, str]:
        with self._faults():
            return self._folder.outputs()

    def cancel(self) -> None:
        with self._faults():
            self._look()  # drops a record that a wrapper took back
            begun = self._begun()  # known here even when the script has removed the folder
            if begun is None:
                self._folder.make()
            while begun is None:  # a wrapper that may not begin takes its record back
                if self._folder.forbid():
                    return
                begun = self._begun()
            ended_by_itself = self._folder.exit_code() is not None and not self._folder.cancelled()
            if begun.leader and not ended_by_itself:
                self._end(begun.leader)

    def clean(self) -> None:
        if self.status().state is State.RUNNING:
            raise StillRunning(
                f"ticket {self._folder.name} in {self._folder.workdir} is still running; "
                "cancel it before its folder is removed"
            )
        failpoints.hit("ticket.clean.before")
        with self._faults():
            self._folder.remove()
        failpoints.hit("ticket.clean.after")
        self._record, self._began = None, False
        children.bury()

    def clean_soon(self) -> None:
        try:
            self.clean()
        except StepError as error:
            log.warning("the ticket is removed later: %s", error)

    def _faults(self) -> AbstractContextManager[None]:
        machine = self._machine
        return faults(f"ticket {self._folder.name}", machine.workdir, machine.tickets)

    def _begun(self) -> Begun | None:
        if self._record is None:
            begun = self._folder.begun()
            if begun is None or begun.damage:
                return begun  # not kept: whatever is wrong may be mended
            self._record = begun
        return self._record

    def _look(self) -> tuple[Status, Find]:
        """The status, and where to find the processes whose end may change it."""
        begun = self._begun()
        if begun is None and (self._began or self._was_removed()):
            begun = self._folder.vanished()
        if begun is None:
            return Status(State.ABSENT), nobody
        if begun.damage:
            return self._unknown(begun)
        # First the wrapper, then its record: once the wrapper is gone, no record will come. The
        # other way round, a record made in between would be missed, and what the script left
        # behind in its group be taken for the script.
        leader = begun.leader
        leads = leader is not None and processes.leads(leader)
        code = self._folder.exit_code()
        if code is not None:
            return Status(State.EXITED, code, disk_full=self._folder.is_full()), nobody
        if leader and (leads or processes.group(leader)):
            who = processes.itself if leads else processes.group
            seconds = processes.seconds_since(leader)
            return Status(State.RUNNING, seconds=seconds), partial(who, leader)
        if begun.cancelled:
            return Status(State.EXITED, ticket.CANCELLED_BEFORE_START), nobody
        if self._folder.cancelled():
            return Status(State.EXITED, ticket.KILLED), nobody
        return self._gone(begun)

    def _was_removed(self) -> bool:
        """Whether something tells of a start whose folder is not there any more."""
        return False

    def _gone(self, begun: Begun) -> tuple[Status, Find]:
        """It began, and has neither processes nor an end."""
        now = self._folder.begun()
        if now == begun or not self._folder.exists():
            return self._unknown(begun)
        # A wrapper that may not begin after all takes its record back.
        self._record = None
        return self._look()

    def _unknown(self, begun: Begun) -> tuple[Status, Find]:
        return Status(State.UNKNOWN, known=of_unknown(self._folder, begun)), nobody

    def _end(self, leader: ticket.Leader) -> None:
        for number, patience in ((signal.SIGTERM, self._grace), (signal.SIGKILL, _LAST_PATIENCE)):
            members = processes.group(leader)
            if not members:
                break
            with suppress(OSError):  # a full disk is no reason to let the script run on
                self._folder.mark_cancelled()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(leader.pid, number)
            if processes.until_none(leader, patience, self._machine.pidfds):
                break
        children.bury()
        if left := processes.group(leader):
            raise StillRunning(
                f"ticket {self._folder.name} in {self._folder.workdir}: processes "
                f"{', '.join(map(str, left))} survived KILL; end them by hand, then cancel again"
            )
