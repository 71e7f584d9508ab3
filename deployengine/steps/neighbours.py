"""The other scripts that run on the machine, and what they hold there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from deployengine.steps import processes
from deployengine.steps.contract import Lock
from deployengine.steps.fences import clash
from deployengine.steps.local_machine import LocalMachine
from deployengine.steps.local_ticket import LocalTicket
from deployengine.steps.ticket import Begun


class Neighbours:
    """Finds other tickets of the machine by their records. Raises plain ``OSError``."""

    def __init__(self, machine: LocalMachine, ticket: str) -> None:
        self._machine = machine
        self._ticket = ticket

    def holding(self, locks: tuple[Lock, ...], among: Iterable[str] | None = None) -> list[Begun]:
        """Those that run, and hold by their record what clashes with these locks."""
        names = os.listdir(self._machine.tickets) if among is None else among  # noqa: PTH208
        records = (self._running(name) for name in names if name and name != self._ticket)
        return [record for record in records if record and clash(record.holds, locks)]

    def end(self, neighbours: Iterable[Begun]) -> None:
        """Ends them all at once, each with the grace that it was promised."""
        tickets = [LocalTicket(self._machine, each.ticket, each.grace) for each in neighbours]
        if tickets:
            with ThreadPoolExecutor(len(tickets)) as threads:
                list(threads.map(LocalTicket.cancel, tickets))

    def _running(self, name: str) -> Begun | None:
        folder = self._machine.folder(name)
        if folder.has_exit():
            return None
        begun = folder.begun(settle=0)
        if begun is None or begun.leader is None:
            return None
        alive = processes.leads(begun.leader) or processes.group(begun.leader)
        return begun if alive else None
