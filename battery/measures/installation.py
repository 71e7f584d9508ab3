"""An engine in a scratch home, whose processes can be killed and replaced one by one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from battery.process import ROOT
from benchmarks.evidence import gather, rows
from benchmarks.journal import judge
from benchmarks.system import PATIENCE, Broken
from deployengine.catalog import load
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted
from deployengine.services import Services
from deployengine.settings import Settings

HOUSEKEEPING = "housekeeping"

PRESENT = "select name from worker where left_at is null and lost_at is null and beat > 0"
STATES = "select state, count(*) from step_run group by state"
OPEN = "select count(*) from deployment where state in ('queued', 'running', 'paused')"
DEPLOYMENTS = "select state, count(*) from deployment group by state order by state"


class Installation:
    """Housekeeping and workers over one home; ``direct`` is where the judge finds the database."""

    def __init__(self, settings: Settings, services: Services, direct: str | None) -> None:
        self.settings = settings
        self.home = settings.home
        self.services = services
        self._direct = direct
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._workers = 0

    # ---- processes ----

    def start_housekeeping(self) -> None:
        """Starts the one housekeeping process."""
        self._start(HOUSEKEEPING, "control")

    def start_worker(self) -> str:
        """Starts one more worker; its name here."""
        self._workers += 1
        name = f"worker-{self._workers}"
        cap = str(self.settings.task_cap)
        self._start(name, "slots", "--no-control", "--task-cap", cap)
        return name

    def signed_in(self, name: str) -> bool:
        """Whether the worker is on the roll; raises :class:`Broken` when it has ended."""
        self.check()
        mark = f"worker-{self._children[name].pid}@"
        return any(str(row[0]).startswith(mark) for row in self.rows(PRESENT))

    def answering(self) -> bool:
        """Whether every process answers a ping, so that messages come to it."""
        self.check()
        wanted = len(self._children)
        return len(self.services.app.control.ping(timeout=0.5, limit=wanted)) >= wanted

    def worker_of(self, claimed_by: str) -> str:
        """The name here of a worker that the database knows under another."""
        for name, child in self._children.items():
            if claimed_by.startswith(f"worker-{child.pid}@"):
                return name
        raise Broken(f"nobody here is {claimed_by}")

    def dismiss(self, name: str, word: signal.Signals) -> subprocess.Popen[bytes]:
        """Sends the signal to a process that is not missed from now on; whoever waits for it."""
        child = self._children.pop(name)
        os.kill(child.pid, word)
        return child

    def check(self) -> None:
        """Raises :class:`Broken` when a process has ended that nobody dismissed."""
        for name, child in self._children.items():
            if child.poll() is not None:
                log = (self.settings.logs / f"{name}.log").read_text("utf-8", "replace")
                raise Broken(f"{name} ended with {child.returncode}:\n{log[-2000:]}")

    def stop(self) -> None:
        """Ends workers, then housekeeping, as SIGTERM does."""
        for housekeeping in (False, True):
            names = [name for name in self._children if (name == HOUSEKEEPING) == housekeeping]
            ending = [self.dismiss(name, signal.SIGTERM) for name in names]
            self.until(partial(_all_ended, ending), "the end")

    def _start(self, name: str, *words: str) -> None:
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        with (self.settings.logs / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", "workers", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                env=environment(self.settings),
            )

    # ---- what there is ----

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, past the engine."""
        return rows(self.home, self._direct, query)

    def states(self) -> dict[str, int]:
        """Step runs by state."""
        return {str(state): int(number) for state, number in self.rows(STATES)}

    def all_ended(self) -> bool:
        """Whether no deployment is open any more."""
        return not self.rows(OPEN)[0][0]

    def harms(self) -> list[str]:
        """What is not as it should be, at rest: by the journals, and by what did not succeed."""
        found = judge(gather(self.home, self._direct)).violations
        told = [f"{v.rule}: {v.message} [{v.machine or ''}]" for v in found]
        bad = {s: n for s, n in self.rows(DEPLOYMENTS) if s != "succeeded"}
        return told + ([f"deployments that did not succeed: {bad}"] if bad else [])

    # ---- acts ----

    def release(self, projects: tuple[str, ...]) -> None:
        """Releases the projects in one batch."""
        self.services.batches.run([Row(Wanted(name, "1.0.0")) for name in projects], "measured")

    def until(
        self,
        is_so: Callable[[], bool],
        what: str,
        patience: float = PATIENCE,
        every: float = 0.02,
    ) -> float:
        """Looks until it is so; the moment when it was, on the monotonic clock."""
        deadline = time.monotonic() + patience
        while not is_so():
            self.check()
            if time.monotonic() > deadline:
                raise Broken(f"{what} did not come within {patience:g} s: {self.states()}")
            time.sleep(every)
        return time.monotonic()


def _all_ended(children: list[subprocess.Popen[bytes]]) -> bool:
    return all(child.poll() is not None for child in children)


def environment(settings: Settings) -> dict[str, str]:
    """Of a process with these settings, and with no other ones."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
    return inherited | {
        "DEPLOYENGINE_HOME": str(settings.home),
        "DEPLOYENGINE_DATABASE_URL": settings.database_url,
        "DEPLOYENGINE_REDIS_URL": settings.redis_url or "",
        "DEPLOYENGINE_LEASE": f"{settings.lease:g}",
        "DEPLOYENGINE_LOG_LEVEL": settings.log_level,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


@contextmanager
def installed(
    settings: Settings, catalog: str, workers: int, direct: str | None = None
) -> Iterator[Installation]:
    """An engine at work in ``settings.home``, which has its machines already."""
    file = settings.home / "catalog.yaml"
    file.write_text(catalog, "utf-8")
    with Services.open(settings) as services:
        services.catalogs.apply(load([file]).sealed(services.secrets.seal))
        made = Installation(settings, services, direct)
        try:
            with killed_all(settings.home):
                made.start_housekeeping()
                names = [made.start_worker() for _ in range(workers)]
                made.until(lambda: all(map(made.signed_in, names)), "the workers")
                made.until(made.answering, "an answer of every process")
                yield made
        finally:
            if settings.embedded_redis:
                services.embedded_redis.stop()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder with an empty ``home`` in it; nothing is left of it after."""
    root = Path(tempfile.mkdtemp(prefix="measure-"))
    try:
        (root / "home").mkdir()
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def killed_all(home: Path) -> Iterator[None]:
    """At the end kills whatever names the home, scripts at their gates too."""
    try:
        yield
    finally:
        for pid in named(home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def named(home: Path) -> Iterator[int]:
    """The processes whose environment or words name the home; this one is not among them."""
    needle = str(home).encode()
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            folder = Path("/proc", str(process.pid))
            told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if needle in told and process.pid != os.getpid():
                yield process.pid
