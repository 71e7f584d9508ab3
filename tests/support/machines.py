"""Machines that come and go: the real way to them, which a test may cut."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from deployengine.domain.environment import Machine
from deployengine.steps.checkup import Checkup
from deployengine.steps.contract import Runner, Started, Ticket, Work, WorkTicket
from deployengine.steps.errors import MachineUnreachable
from deployengine.steps.wake import Wake
from tests.support.fakes import House


class Network:
    """Which machines are out of reach now."""

    def __init__(self) -> None:
        self._cut: set[str] = set()
        self._lock = threading.Lock()
        #: How often each was tried, reached or not.
        self.tried: dict[str, int] = {}

    def cut(self, *machines: str) -> None:
        """Nobody reaches them any more."""
        with self._lock:
            self._cut.update(machines)

    def mend(self, *machines: str) -> None:
        """They can be reached again."""
        with self._lock:
            self._cut.difference_update(machines)

    def reach(self, machine: str) -> None:
        """Raises :class:`MachineUnreachable` while the machine is cut off."""
        with self._lock:
            self.tried[machine] = self.tried.get(machine, 0) + 1
            if machine in self._cut:
                raise MachineUnreachable(f"{machine} does not answer: no route to host")


class CutOffRunner:
    """The real way to one machine, over the network."""

    def __init__(self, machine: str, runner: Runner, network: Network) -> None:
        self._machine = machine
        self._runner = runner
        self._network = network

    def ticket(self, work: Work) -> WorkTicket:
        """The run of this work; it is started over the network."""
        return _CutOffTicket(self._machine, self._runner.ticket(work), self._network)

    def attach(self, ticket: str, grace: timedelta = timedelta(seconds=10)) -> Ticket:
        """The run of this name."""
        self._network.reach(self._machine)
        return self._runner.attach(ticket, grace)

    def revoke(self, fence: int) -> None:
        """No start with this fence begins any more."""
        self._network.reach(self._machine)
        self._runner.revoke(fence)

    def tickets(self) -> list[str]:
        """The names of all tickets."""
        self._network.reach(self._machine)
        return self._runner.tickets()

    def check(self) -> Checkup:
        """Looks at the machine, if it can be reached."""
        self._network.reach(self._machine)
        return self._runner.check()

    def has(self, digest: str) -> bool:
        """Whether a package is there, if it can be reached."""
        self._network.reach(self._machine)
        return self._runner.has(digest)

    def deliver(self, archive: Path, digest: str) -> None:
        """Brings a package, if it can be reached."""
        self._network.reach(self._machine)
        self._runner.deliver(archive, digest)


class _CutOffTicket:
    """The real ticket, which can only be begun over the network."""

    def __init__(self, machine: str, real: WorkTicket, network: Network) -> None:
        self._machine = machine
        self._real = real
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        self._network.reach(self._machine)
        return self._real.start(wake, patience)


class NetworkedHouse(House):
    """An engine whose machines come and go; set ``network`` before anything runs."""

    network: Network

    def _runner_of(self, machine: Machine) -> Runner:
        return CutOffRunner(machine.name, super()._runner_of(machine), self.network)
