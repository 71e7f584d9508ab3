"""A live engine for tests: real processes over a scratch home, and ways to wait for what they do.

Nothing here depends on speed. Scripts wait at gates, which the test opens; the test waits for
conditions with :func:`until`, which fails with the name of what did not come.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import redis

from deployengine.catalog import load
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.identity import Kind, number_of
from deployengine.engine.batches import Row
from deployengine.engine.clock import SystemClock
from deployengine.engine.ports import Clock
from deployengine.engine.queries import DeploymentDetail
from deployengine.engine.releases import Wanted
from deployengine.persistence.records import DeploymentRecord
from deployengine.services import Services
from deployengine.settings import Settings

ROOT = Path(__file__).parents[2]

#: Seconds until something counts as never coming; far more than anything here takes.
PATIENCE = 45.0

#: Where scripts find the test's scratch folder: ``$SCRATCH``.
SCRATCH = "SCRATCH"

BROUGHT = {
    "DEPLOYENGINE_HOUSEKEEPING_INTERVAL": "0.5",
    "DEPLOYENGINE_OUTPUT_INTERVAL": "0.2",
    "DEPLOYENGINE_CANCEL_GRACE": "2",
}

T = TypeVar("T")


def until(predicate: Callable[[], T], what: str, timeout: float = PATIENCE) -> T:
    """The predicate's first true value; an assertion that names ``what`` when it never comes."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.05)
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its one JSON document; fails when stdout holds anything else."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a machine's journal, as the script itself wrote it."""

    event: str
    project: str
    version: str
    step: str
    attempt: int
    run: str


class Gate:
    """Holds scripts that read a line from it, until it is opened.

    Made before any script comes, and kept open for writing: whoever comes waits in ``read``, not
    in ``open``, and goes on when this process dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)

    def open(self, scripts: int = 1) -> None:
        """Lets so many scripts pass."""
        os.write(self._descriptor, b"\n" * scripts)

    def remove(self) -> None:
        """Lets all pass for good."""
        self._path.unlink()
        self.open(1000)
        os.close(self._descriptor)


class LiveEngine:
    """An engine in a scratch folder of its own; as a context it ends with nothing left behind."""

    def __init__(self, **environ: str) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="de-"))
        self.home = self.scratch / "home"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
        self.environ = {
            **inherited,
            **BROUGHT,
            "DEPLOYENGINE_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            SCRATCH: str(self.scratch),
            **environ,
        }
        #: What commands go by, and :attr:`services`.
        self.clock: Clock = SystemClock()
        #: Off when the test has failed: what it left is then no news.
        self.check_at_end = True
        self._processes: list[subprocess.Popen[bytes]] = []
        self._gates: dict[str, Gate] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        well = kind is None and self.check_at_end
        try:
            if not well:
                sys.stderr.write(self.logs())
            self.stop(check=well)
        finally:
            self._kill_all()
            shutil.rmtree(self.scratch)

    # ---- what there is ----

    @cached_property
    def settings(self) -> Settings:
        """As the processes read them."""
        return Settings.read(self.environ, self.scratch)

    @cached_property
    def services(self) -> Services:
        """The engine from within this process: to ask often, and to send what no test is about."""
        return Services.open(self.settings, self.clock)

    def apply(self, catalog: Mapping[str, Any]) -> None:
        """Makes the catalog what there is."""
        path = self.write("catalog.yaml", json.dumps(catalog))
        loaded = load([path]).sealed(self.services.secrets.seal)
        self.services.catalogs.apply(loaded)

    def write(self, name: str, text: str) -> Path:
        """A file in the scratch folder."""
        path = self.scratch / name
        path.write_text(text, encoding="utf-8")
        return path

    # ---- processes ----

    def start(
        self, *arguments: str, module: str = "deployengine", cwd: Path | None = None, **environ: str
    ) -> subprocess.Popen[bytes]:
        """A long-running command, its talk kept for :meth:`logs`."""
        log = self.scratch / f"process-{len(self._processes)}-{arguments[-1]}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=cwd or self.scratch,
                env={**self.environ, **environ},
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def worker(self, task_cap: int = 4) -> subprocess.Popen[bytes]:
        """A worker with a housekeeping companion."""
        return self.start("worker", "--task-cap", str(task_cap))

    def up(self, task_cap: int = 4, workers: int = 1) -> subprocess.Popen[bytes]:
        """Everything one machine needs."""
        return self.start("up", "--task-cap", str(task_cap), "--workers", str(workers))

    def cli(self, *arguments: str, cwd: Path | None = None, **environ: str) -> Answer:
        """A command, awaited."""
        done = subprocess.run(
            [sys.executable, "-m", "deployengine", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            cwd=cwd or self.scratch,
            env={**self.environ, **environ},
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The document that a command answers with; it must end with this code."""
        answer = self.cli(*arguments, "--json")
        assert answer.code == code, f"{arguments} ended with {answer.code}: {answer.err}"
        return answer.document

    def end(self, process: subprocess.Popen[bytes], word: signal.Signals = signal.SIGTERM) -> int:
        """Tells a process to end and waits for it: its exit code."""
        process.send_signal(word)
        return process.wait(timeout=PATIENCE)

    def stop(self, *, check: bool = True) -> None:
        """Ends all processes; no process may be left, nor any lock unless something is open."""
        self._remove_gates()
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
        try:
            if check and "services" in self.__dict__:
                self.assert_no_locks_left()
        finally:
            if "services" in self.__dict__:
                self.services.close()
            if self.settings.embedded_redis:
                self.services.embedded_redis.stop()
        if check:
            until(lambda: not self.living(), f"an end of all processes: {self.living()}")

    def come_to_rest(self) -> None:
        """Ends all that is open and forgets gates and journals: so a next test finds nothing."""
        self._remove_gates()
        deployments = self.services.queries.deployments()
        found = [deployment for deployment in deployments if not deployment.state.final]
        for deployment in found:
            self.services.deployments.cancel(deployment.id)
        for deployment in found:
            self.await_end(deployment.id)
        until(lambda: self.services.locks.counts().requests == 0, "an end of all locks")
        for journal in self.home.glob("machines/*/journal"):
            journal.unlink()

    def _remove_gates(self) -> None:
        for gate in self._gates.values():
            gate.remove()
        self._gates.clear()

    def assert_no_locks_left(self) -> None:
        """Nobody holds or waits for anything that has ended; wants all processes to be at rest."""
        if self.settings.embedded_redis and not self.services.embedded_redis.running():
            return
        deployments = self.services.queries.deployments()
        if all(d.state.final for d in deployments):
            with suppress(redis.ConnectionError):
                assert self.services.queries.locks() == []
                assert self.services.locks.counts().requests == 0

    def living(self) -> list[str]:
        """Every process of the scratch folder: engine, Redis, scripts and what they left."""
        needle = str(self.scratch).encode()
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                folder = Path(f"/proc/{process.pid}")
                told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if needle in told:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
        return found

    def _kill_all(self) -> None:
        for line in self.living():
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)

    def logs(self) -> str:
        """What the processes said, for a test that failed."""
        files = [*self.scratch.glob("process-*.log"), *self.home.glob("logs/*.log")]
        return "".join(f"── {f.name}\n{f.read_text(errors='replace')[-6000:]}\n" for f in files)

    # ---- scripts ----

    def gate(self, name: str) -> Gate:
        """A new gate, at ``$SCRATCH/name`` for scripts."""
        gate = self._gates[name] = Gate(self.scratch / name)
        return gate

    def journal(self, machine: str) -> list[Entry]:
        """What the scripts wrote on a machine, in order."""
        path = self.home / "machines" / machine / "journal"
        if not path.exists():
            return []
        lines = path.read_text("utf-8").splitlines()
        return [_entry(line) for line in lines]

    def begun(self, machine: str) -> list[str]:
        """The projects whose scripts have begun on the machine, in order."""
        return [e.project for e in self.journal(machine) if e.event == "begin"]

    def inside(self, machine: str) -> set[str]:
        """The projects whose scripts have begun on the machine and not ended."""
        inside: set[str] = set()
        for entry in self.journal(machine):
            (inside.add if entry.event == "begin" else inside.discard)(entry.project)
        return inside

    def await_inside(self, machine: str, *projects: str) -> None:
        """Until scripts of exactly these projects are running on the machine."""
        wanted = set(projects)
        until(lambda: self.inside(machine) == wanted, f"{sorted(wanted)} alone on {machine}")

    def line(self, resource: str) -> tuple[list[str], list[str]]:
        """The projects that hold a resource, and those that wait for it in their order."""
        for view in self.services.queries.locks():
            if view.resource == resource:
                holders = sorted(each.label.split()[0] for each in view.holders)
                return holders, [each.label.split()[0] for each in view.waiters]
        return [], []

    def await_line(self, resource: str, holders: Sequence[str], *waiters: str) -> None:
        """Until exactly these projects hold a resource, and these wait for it in this order."""
        wanted = sorted(holders), list(waiters)
        until(lambda: self.line(resource) == wanted, f"{holders} before {waiters} at {resource}")

    # ---- releases ----

    def create(self, *projects: str, version: str = "1.0") -> list[DeploymentRecord]:
        """A release of each project in this order: the first deployment of each."""
        return [
            self.services.releases.create(Wanted(project, version)).deployments[0]
            for project in projects
        ]

    def batch(self, projects: Sequence[str], name: str = "batch", version: str = "1.0") -> None:
        """One batch with a release of each project."""
        self.services.batches.run([Row(Wanted(p, version)) for p in projects], name)

    def await_batch(self, name: str = "batch", timeout: float = PATIENCE) -> str:
        """The state in which the batch comes to rest."""
        batches = self.services.batches
        until(lambda: batches.progress(name).ended, f"the end of batch {name}", timeout)
        return batches.progress(name).state.value

    def detail(self, deployment: str | int) -> DeploymentDetail:
        """A deployment with its runs."""
        number = number_of(str(deployment), Kind.DEPLOYMENT)
        return self.services.queries.deployment(number)

    def await_end(self, deployment: str | int, timeout: float = PATIENCE) -> DeploymentState:
        """The state in which the deployment ends."""
        what = f"the end of {deployment}"
        until(lambda: self.detail(deployment).deployment.state.final, what, timeout)
        return self.detail(deployment).deployment.state

    def deployments(self, environment: str | None = None) -> Iterator[DeploymentRecord]:
        """All deployments, the oldest first."""
        return reversed(self.services.queries.deployments(environment=environment))


def _entry(line: str) -> Entry:
    event, project, version, step, attempt, run = line.split()
    return Entry(event, project, version, step, int(attempt), run)
