"""All machines that a process reaches by SSH, each with its connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deployengine.domain.environment import Machine
from deployengine.steps.contract import Runner
from deployengine.steps.errors import MachineUnfit
from deployengine.steps.ssh.way import Place, Way, folders_of

#: Seconds that all machines together may take when this process ends.
FAREWELL = 5.0

if TYPE_CHECKING:
    from deployengine.steps.ssh.machine import SshMachine


@contextmanager
def needing_ssh(machine: str) -> Iterator[None]:
    """Says what to install where the library for SSH is not there."""
    try:
        yield
    except ImportError as error:
        raise MachineUnfit(
            f"machine {machine} is reached by SSH, which takes a library that is not there: "
            "pip install 'deployengine[ssh]' on every worker's host"
        ) from error


class Fleet:
    """Runners of machines; those of one machine share its connections."""

    def __init__(self, way_to: Callable[[Machine], Way]) -> None:
        self._way_to = way_to
        self._machines: dict[Place, SshMachine] = {}
        self._lock = threading.Lock()

    def runner(self, machine: Machine) -> Runner:
        """The way to a machine's tickets; no connection is made yet.

        Raises :class:`MachineUnfit` when this process lacks what SSH takes.
        """
        with needing_ssh(machine.name):
            from deployengine.steps.ssh.machine import SshMachine
            from deployengine.steps.ssh.runner import SshRunner
        with self._lock:
            known = self._machines.get(folders_of(machine))
            if known is None:
                known = SshMachine(machine.name, lambda: self._way_to(machine))
                self._machines[folders_of(machine)] = known
        return SshRunner(known)

    def close(self) -> None:
        """Removes what was to be removed soon, and closes all connections.

        Takes some seconds at most; what is left after that is found by whoever tidies up.
        """
        with self._lock:
            machines, self._machines = list(self._machines.values()), {}
        wait([machine.retire() for machine in machines], FAREWELL)

    def connected(self, machine: Machine) -> bool:
        """Whether there is a connection to the machine now."""
        known = self._machines.get(folders_of(machine))
        return known is not None and known.connected
