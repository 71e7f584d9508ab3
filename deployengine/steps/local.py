"""Tickets on this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from deployengine.steps import children, processes, ticket
from deployengine.steps.contract import (
    GRACE,
    Started,
    State,
    Status,
    Work,
    check_ticket_name,
)
from deployengine.steps.errors import (
    CannotStart,
    MachineUnfit,
    StillRunning,
    WorkdirUnusable,
)
from deployengine.steps.faults import faults, refusal
from deployengine.steps.folder import TicketFolder
from deployengine.steps.processes import Find, nobody
from deployengine.steps.ticket import Begun
from deployengine.steps.wake import Wake

_HERE = Path(__file__).parent
_WRAPPER = str(_HERE / "wrapper.sh")
_TOOLS = str(_HERE / "tools")

#: How long processes may take to vanish after KILL: seconds.
_LAST_PATIENCE = 10.0


class LocalRunner:
    """Runs scripts on this machine, in one work folder, which is made if it is missing.

    The tickets lie in a folder of their own, out of reach of a script that cleans up where it
    works. ``shell`` reads the wrapper. ``pidfds=False`` looks at the processes every 50 ms instead
    of being told of their end; the default asks the kernel what it can do.
    """

    def __init__(
        self,
        workdir: str,
        tickets: str,
        shell: Sequence[str] = ("/bin/sh",),
        pidfds: bool | None = None,
    ) -> None:
        for folder in (workdir, tickets):
            if not Path(folder).is_absolute():
                raise WorkdirUnusable(f"folder {folder!r} is not absolute; give its whole path")
        self.workdir = Path(workdir)
        self.tickets = Path(tickets)
        self.shell = tuple(shell)
        self.pidfds = processes.can_open_pidfds() if pidfds is None else pidfds
        self.umask = _umask()

    def ticket(self, work: Work) -> LocalWorkTicket:
        """The run of this work; touches nothing until it is started."""
        return LocalWorkTicket(self, work)

    def attach(self, ticket: str, grace: timedelta = GRACE) -> LocalTicket:
        """The run of this name, begun by whomever."""
        return LocalTicket(self, ticket, grace)


class LocalTicket:
    """One run on this machine."""

    def __init__(self, runner: LocalRunner, name: str, grace: timedelta) -> None:
        check_ticket_name(name)
        self._runner = runner
        self._grace = grace.total_seconds()
        self._folder = TicketFolder(runner.workdir, runner.tickets, name)
        self._record: Begun | None = None

    def status(self) -> Status:
        with faults(self._folder):
            status, _ = self._look()
        return status

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:
        end = time.monotonic() + timeout.total_seconds()
        with faults(self._folder):
            status, awaited = self._look()
            while status.state is State.RUNNING:
                left = end - time.monotonic()
                if left <= 0 or (wake and wake.is_set()):
                    break
                processes.until_one_ends(awaited, left, wake, self._runner.pidfds)
                status, awaited = self._look()
        children.bury()
        return status

    def output(self, offset: int, limit: int = 65536) -> bytes:
        with faults(self._folder):
            return self._folder.output(offset, limit)

    def outputs(self) -> dict[str, str]:
        with faults(self._folder):
            return self._folder.outputs()

    def cancel(self) -> None:
        with faults(self._folder):
            begun = self._record  # known here even when the script has removed the folder
            if begun is None:
                self._folder.make()
            while begun is None:  # a wrapper that finds the disk full takes its record back
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
        with faults(self._folder):
            self._folder.remove()
        self._record = None
        children.bury()

    def _begun(self) -> Begun | None:
        if self._record is None:
            self._record = self._folder.begun()
        return self._record

    def _look(self) -> tuple[Status, Find]:
        """The status, and where to find the processes whose end may change it."""
        begun = self._begun()
        if begun is None:
            return Status(State.ABSENT), nobody
        # First the wrapper, then its record: once the wrapper is gone, no record will come. The
        # other way round, a record made in between would be missed, and what the script left
        # behind in its group be taken for the script.
        leader = begun.leader
        leads = leader is not None and processes.leads(leader)
        code = self._folder.exit_code()
        if code is not None:
            return Status(State.EXITED, code), nobody
        if leader and leads:
            return Status(State.RUNNING), partial(processes.itself, leader)
        if leader and processes.group(leader):
            return Status(State.RUNNING), partial(processes.group, leader)
        if begun.cancelled:
            return Status(State.EXITED, ticket.CANCELLED_BEFORE_START), nobody
        if self._folder.cancelled():
            return Status(State.EXITED, ticket.KILLED), nobody
        return Status(State.UNKNOWN), nobody

    def _end(self, leader: ticket.Leader) -> None:
        for number, patience in ((signal.SIGTERM, self._grace), (signal.SIGKILL, _LAST_PATIENCE)):
            members = processes.group(leader)
            if not members:
                break
            with suppress(OSError):  # a full disk is no reason to let the script run on
                self._folder.mark_cancelled()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(leader.pid, number)
            if processes.until_none(leader, patience, self._runner.pidfds):
                break
        children.bury()
        if left := processes.group(leader):
            raise StillRunning(
                f"ticket {self._folder.name} in {self._folder.workdir}: processes "
                f"{', '.join(map(str, left))} survived KILL; end them by hand, then cancel again"
            )


class LocalWorkTicket(LocalTicket):
    """A run on this machine that can be started."""

    def __init__(self, runner: LocalRunner, work: Work) -> None:
        super().__init__(runner, work.ticket, work.grace)
        self._work = work

    def start(self) -> Started:
        with faults(self._folder):
            if self._begun() is not None:
                return Started.ATTACHED
            self._folder.make()
            self._folder.fill(self._work)
        said = self._spawn()
        if said and said != b"attached\n":
            reason = said.decode("utf-8", "replace").strip()
            raise CannotStart(
                f"ticket {self._work.ticket} could not begin in {self._folder.workdir} ({reason}); "
                "nothing ran: mend that and start it again"
            )
        return Started.ATTACHED if said else Started.FIRST

    def _spawn(self) -> bytes:
        runner, folder = self._runner, self._folder
        wrapper = (
            _WRAPPER,
            str(folder.path),
            str(folder.workdir),
            str(self._work.fence),
            runner.umask,
        )
        command = (*runner.shell, *wrapper, *ticket.interpreter(self._work.script))
        try:
            return children.spawn((*command, str(folder.script)), self._environment())
        except OSError as error:
            raise CannotStart(refusal(error, self._work, command[0])) from error

    def _environment(self) -> Mapping[str, str]:
        """The worker's environment without the engine's own settings, which hold its passwords."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
        environment = {**inherited, **self._work.environment}
        environment["PATH"] = f"{_TOOLS}:{environment.get('PATH', os.defpath)}"
        environment["DEPLOYENGINE_TICKET_FOLDER"] = str(self._folder.path)
        return environment


def _umask() -> str:
    """The umask that scripts shall have; only /proc tells it without changing it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise MachineUnfit(
            "local machines need /proc, which is not there; use a Linux machine, or mount it"
        ) from error
    return next((line.split()[1] for line in lines if line.startswith("Umask:")), "0022")
