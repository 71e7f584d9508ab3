"""Tickets on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from deployengine import failpoints
from deployengine.steps import local_check, processes
from deployengine.steps.checkup import Checkup
from deployengine.steps.contract import GRACE, Work
from deployengine.steps.errors import MachineUnfit, WorkdirUnusable
from deployengine.steps.faults import faults
from deployengine.steps.fences import Fences
from deployengine.steps.folder import tickets_in
from deployengine.steps.local_machine import LocalMachine
from deployengine.steps.local_packages import LocalPackages
from deployengine.steps.local_start import LocalWorkTicket
from deployengine.steps.local_ticket import LocalTicket


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
        self._machine = LocalMachine(
            Path(workdir),
            Path(tickets),
            tuple(shell),
            processes.can_open_pidfds() if pidfds is None else pidfds,
            _umask(),
        )

    def ticket(self, work: Work) -> LocalWorkTicket:
        """The run of this work; touches nothing until it is started."""
        return LocalWorkTicket(self._machine, work)

    def attach(self, ticket: str, grace: timedelta = GRACE) -> LocalTicket:
        """The run of this name, begun by whomever."""
        return LocalTicket(self._machine, ticket, grace)

    def revoke(self, fence: int) -> None:
        """When it returns, no start with this fence begins a script any more."""
        machine = self._machine
        failpoints.hit("ticket.revoke.before")
        with faults(f"fence {fence}", machine.workdir, machine.tickets):
            Fences(machine.tickets).revoke(fence)
        failpoints.hit("ticket.revoke.after")

    def tickets(self) -> list[str]:
        """The names of all tickets on the machine, those too that were cleaned half-way."""
        machine = self._machine
        with faults("the list of tickets", machine.workdir, machine.tickets):
            try:
                return tickets_in(os.listdir(machine.tickets))  # noqa: PTH208
            except FileNotFoundError:
                return []

    def check(self) -> Checkup:
        """Looks whether the folders, the shell and the disk are fit for tickets."""
        return local_check.check(self._machine)

    def has(self, digest: str) -> bool:
        """Whether the package with this digest is on the machine; it counts as used now."""
        machine = self._machine
        with faults(f"package {digest[:12]}", machine.workdir, machine.tickets):
            return LocalPackages(machine.tickets).has(digest)

    def deliver(self, archive: Path, digest: str) -> None:
        """Brings a package to ``.packages/<digest>`` beside the tickets."""
        machine = self._machine
        with faults(f"package {digest[:12]}", machine.workdir, machine.tickets):
            LocalPackages(machine.tickets).deliver(archive, digest)


def _umask() -> str:
    """The umask that scripts shall have; only /proc tells it without changing it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise MachineUnfit(
            "local machines need /proc, which is not there; use a Linux machine, or mount it"
        ) from error
    return next((line.split()[1] for line in lines if line.startswith("Umask:")), "0022")
