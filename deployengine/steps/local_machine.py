"""Where the tickets of this machine lie, and how they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployengine.steps.folder import TicketFolder


@dataclass(frozen=True, slots=True)
class LocalMachine:
    """One work folder of this machine with the folder of its tickets."""

    workdir: Path
    tickets: Path
    #: Reads the wrapper.
    shell: tuple[str, ...]
    #: Whether the kernel tells of a process's end.
    pidfds: bool
    #: What scripts shall have.
    umask: str

    def folder(self, ticket: str) -> TicketFolder:
        """The folder of a ticket, whether it is there or not."""
        return TicketFolder(self.workdir, self.tickets, ticket)
