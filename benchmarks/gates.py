"""Machines with gates: a script that has begun waits until its machine's gate is opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import scenario


class Gates:
    """Machines of one environment with a gate each, behind which exclusive scripts wait."""

    def __init__(self, machines: Sequence[str]) -> None:
        self.machines = machines
        self._folders: dict[str, Path] = {}

    def furnish(self, home: Path) -> None:
        """Makes the machines' folders in a home."""
        for machine in self.machines:
            self._folders[machine] = scenario.furnished(home, machine)
            os.mkfifo(self._folders[machine] / scenario.GATE)

    def catalog(self, projects: Sequence[str]) -> str:
        """The catalog in YAML; every project has one step, on every machine."""
        script = scenario.SCRIPT.replace("WORK", scenario.WAIT_AT_GATE)
        return scenario.catalog({"Production": self.machines}, projects, frozenset(), script)

    def open(self, machine: str) -> bool:
        """Lets the script that waits at the machine's gate go on; no, when none waits there."""
        gate = self._folders[machine] / scenario.GATE
        try:
            descriptor = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        with os.fdopen(descriptor, "w") as opened:
            opened.write("\n")
        return True

    def open_all(self) -> None:
        """Lets every script go on that waits at a gate now."""
        for machine in self.machines:
            self.open(machine)

    def begun(self, machine: str) -> int:
        """How many scripts have begun on the machine."""
        try:
            journal = (self._folders[machine] / "journal").read_text("utf-8")
        except FileNotFoundError:
            return 0
        return sum(line.startswith("begin ") for line in journal.splitlines())

    def all_begun(self) -> int:
        """How many scripts have begun on all machines."""
        return sum(map(self.begun, self.machines))
