"""Machines that come and go: the real way to them, which a test may cut."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import Redis

from deployengine.domain.environment import Machine
from deployengine.steps.checkup import Checkup
from deployengine.steps.contract import Runner, Started, Ticket, Work, WorkTicket
from deployengine.steps.errors import MachineUnreachable
from deployengine.steps.wake import Wake
from tests.support.fakes import FakeClock, House


class Network:
    """Which machines are out of reach now, and how often each was tried, reached or not."""

    def __init__(self) -> None:
        self._cut: set[str] = set()
        self._deaf: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self.starts: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        #: Machines whose answer to a start is lost: it begins, and nobody hears of it.
        self.mute: set[str] = set()

    def cut(self, *machines: str) -> None:
        """Nobody reaches them any more."""
        with self._lock:
            self._cut.update(machines)

    def mend(self, *machines: str) -> None:
        """They can be reached again."""
        with self._lock:
            self._cut.difference_update(machines)
            self.mute.difference_update(machines)

    def deafen(self, machine: str) -> threading.Event:
        """A look at it gets no answer, until this is set."""
        with self._lock:
            return self._deaf.setdefault(machine, threading.Event())

    def reach(self, machine: str) -> None:
        """Raises :class:`MachineUnreachable` while the machine is cut off."""
        with self._lock:
            if machine in self._cut:
                raise MachineUnreachable(f"{machine} does not answer: no route to host")

    def look(self, machine: str) -> None:
        """The same for a look, which may have to wait."""
        with self._lock:
            self.looks[machine] += 1
            deaf = self._deaf.get(machine)
        if deaf is not None:
            assert deaf.wait(60)
        self.reach(machine)


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
        self._network.look(self._machine)
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
        self._network.starts[self._machine] += 1
        self._network.reach(self._machine)
        started = self._real.start(wake, patience)
        if self._machine in self._network.mute:
            raise MachineUnreachable(f"{self._machine} does not answer: connection reset")
        return started


class NetworkedHouse(House):
    """An engine whose machines come and go."""

    def __init__(
        self, home: Path, redis: Redis, clock: FakeClock | None = None, **settings: Any
    ) -> None:
        super().__init__(home, redis, clock, **settings)
        self.network = Network()

    def neighbour(self, **settings: Any) -> NetworkedHouse:
        """Another process of the same engine, on the same network; the caller closes it."""
        key = self.settings.master_key
        other = NetworkedHouse(
            self.settings.home, self.redis, self.clock, master_key=key, **settings
        )
        other.network = self.network
        return other

    def _runner_of(self, machine: Machine) -> Runner:
        return CutOffRunner(machine.name, super()._runner_of(machine), self.network)

    def on_return_does_nothing(self) -> None:
        """A machine that is back is left to whoever looks next."""
        self.health_checks.on_return = lambda: None

    def check(self, *names: str) -> dict[str, str]:
        """Looks at machines, or at all: how each was found."""
        return {each.machine: each.state.value for each in self.health_checks.check(names or None)}
