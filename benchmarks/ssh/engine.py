"""The engine with both kinds of machines, and batches that are sent through it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.evidence import gather, rows
from benchmarks.ssh import scripts
from benchmarks.ssh.park import Machine, expect
from benchmarks.ssh.processes import family_seconds
from benchmarks.ssh.scripts import Kind
from benchmarks.system import Broken, System, running
from benchmarks.usage import DRIVER
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted

#: What a script of the engine is told its name by.
NAME = "$DEPLOYENGINE_PROJECT"
#: Of the one worker, and how many at once each peer is allowed.
CAP = 32
#: Seconds that a batch may take, and between two looks whether everything has ended.
PATIENCE = 300.0
LOOK_EVERY = 0.2

OPEN = "select count(*) from deployment where state in ('queued', 'running')"
FAILED = """
select r.machine, d.project, r.state, r.message from step_run r
join deployment d on d.id = r.deployment_id where d.state not in ('queued', 'running', 'succeeded')
"""


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds of a process, and of the children that it has waited for."""

    own: float
    children: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What a batch took: wall and CPU in seconds. ``own`` is by process, without children.

    ``children`` are what the engine's processes have waited for: local scripts with their wrappers.
    ``machines`` are all sshd and what they run.
    """

    runs: int
    wall: float
    own: dict[str, float]
    children: float
    machines: float

    @property
    def engine(self) -> float:
        """CPU of the engine's own processes."""
        return sum(self.own.values())


class Engine:
    """A running engine that releases fifty projects at once, and says what that took."""

    def __init__(self, system: System, park: Sequence[Machine]) -> None:
        self.system = system
        self.park = park
        self._version = 0

    @property
    def folders(self) -> dict[str, dict[str, Path]]:
        """The machines' folders by name, of each role."""
        home = self.system.home / "machines"
        return {
            "local": {name: home / name for name in _local_names(self.park)},
            "ssh": {machine.name: machine.folder for machine in self.park},
        }

    def submit(self, projects: Sequence[str]) -> str:
        """Releases the projects in one batch; its version."""
        self._version += 1
        version = f"1.0.{self._version}"
        self.system.services.batches.run([Row(Wanted(name, version)) for name in projects], version)
        return version

    def release(self, kind: Kind, number: int) -> Bill:
        """Releases so many projects and waits for their end; :class:`Broken` rather than a lie."""
        projects = kind.names(number)
        machines, before = self.machines(), self.used()
        begun = time.time()
        version = self.submit(projects)
        self.await_end()
        after = self.used()
        machines = self.machines() - machines
        expect(self.folders[kind.role], projects)
        runs = [run for run in gather(self.system.home).runs.values() if run.version == version]
        return Bill(
            len(runs),
            max(run.finished or 0 for run in runs) - begun,
            {name: used.own - before[name].own for name, used in after.items()},
            sum(used.children - before[name].children for name, used in after.items()),
            machines,
        )

    def await_end(self) -> None:
        """Until nothing is open any more; raises :class:`Broken` when something failed."""
        home, deadline = self.system.home, time.monotonic() + PATIENCE
        while rows(home, None, OPEN)[0][0]:
            self.system.check()
            if time.monotonic() > deadline:
                raise Broken(f"not everything had ended after {PATIENCE:g} s")
            time.sleep(LOOK_EVERY)
        if failed := rows(home, None, FAILED):
            raise Broken(f"a deployment did not succeed: {failed[:5]}")

    def machines(self) -> float:
        """CPU seconds of all sshd and what they have run."""
        return family_seconds(machine.pid for machine in self.park)

    def used(self) -> dict[str, Used]:
        """CPU seconds by process, this one among them."""
        used = {}
        for name, pid in {**self.system.pids, DRIVER: os.getpid()}.items():
            t = psutil.Process(pid).cpu_times()
            children = 0.0 if name == DRIVER else t.children_user + t.children_system
            used[name] = Used(t.user + t.system, children)
        return used


@contextmanager
def engine(park: Sequence[Machine], number: int) -> Iterator[Engine]:
    """An engine with so many projects of each kind; its connections are warm."""

    def furnish(home: Path) -> None:
        for name in _local_names(park):
            (home / "machines" / name).mkdir(parents=True)

    with running(None, CAP, 1, furnish, _catalog(park, number)) as system:
        made = Engine(system, park)
        for kind in (scripts.LOCAL, scripts.TRIVIAL):
            made.release(kind, 2)
        yield made
        system.stop()


def _local_names(park: Sequence[Machine]) -> list[str]:
    return [f"local-{machine.name}" for machine in park]


def _catalog(park: Sequence[Machine], number: int) -> str:
    stage = "Production"
    document: dict[str, Any] = {
        "environments": [stage],
        "machines": [
            {"name": name, "environments": [stage], "roles": ["local"]}
            for name in _local_names(park)
        ]
        + [
            {
                "name": machine.name,
                "environments": [stage],
                "roles": ["ssh"],
                "connection": machine.connection,
            }
            for machine in park
        ],
        "lifecycles": [{"name": "auto", "phases": [{"name": stage, "automatic": [stage]}]}],
        "projects": [
            {
                "name": name,
                "lifecycle": "auto",
                "variables": [{"name": "OctopusBypassDeploymentMutex", "value": str(kind.shares)}],
                "process": [{"name": "Install", "roles": [kind.role], "script": kind.text(NAME)}],
            }
            for kind in scripts.ALL
            for name in kind.names(number)
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)
