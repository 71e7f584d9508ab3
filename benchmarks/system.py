"""The engine under test: a home, its processes, its services; and its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.databases import own_database
from deployengine.catalog import load
from deployengine.services import Services
from deployengine.settings import Settings

#: Seconds that processes may take to start, and to end.
PATIENCE = 60.0


class Broken(Exception):
    """The engine did not do what was measured, so there is nothing to print but this."""


@dataclass(frozen=True, slots=True)
class System:
    """A running engine; ``processes`` by name, Redis apart since nobody here started it."""

    home: Path
    database_url: str | None
    services: Services
    processes: Mapping[str, subprocess.Popen[bytes]]

    @property
    def pids(self) -> Mapping[str, int]:
        """The engine's processes: workers, housekeeping, Redis."""
        redis = int(self.services.redis.info("server")["process_id"])
        return {name: child.pid for name, child in self.processes.items()} | {"redis": redis}

    def check(self) -> None:
        """Raises :class:`Broken` when one of the processes has ended."""
        for name, child in self.processes.items():
            if child.poll() is not None:
                log = (self.home / "logs" / f"{name}.log").read_text("utf-8", "replace")
                raise Broken(f"{name} ended with {child.returncode}:\n{log[-2000:]}")

    def kill(self) -> None:
        """Ends what is left of the processes at once; scripts go on by themselves."""
        for child in self.processes.values():
            if child.poll() is None:
                child.kill()
            child.wait()

    def stop(self, while_ending: Callable[[], None] = lambda: None) -> None:
        """Ends the workers when their scripts have ended, then housekeeping."""
        for prefix in ("worker", "housekeeping"):
            children = [c for name, c in self.processes.items() if name.startswith(prefix)]
            for child in children:
                child.terminate()
            deadline = time.monotonic() + PATIENCE
            while any(child.poll() is None for child in children):
                if time.monotonic() > deadline:
                    raise Broken(f"{prefix} processes did not end within {PATIENCE:g} s")
                while_ending()
                time.sleep(0.05)


@contextmanager
def running(
    database_url: str | None,
    task_cap: int,
    workers: int,
    furnish: Callable[[Path], None],
    catalog: str,
) -> Iterator[System]:
    """An engine in a scratch home with the catalog of this text; nothing is left of it after."""
    with (
        TemporaryDirectory(prefix="deployengine-benchmark-") as folder,
        own_database(database_url) as url,
    ):
        home = Path(folder)
        furnish(home)
        (home / "catalog.yaml").write_text(catalog, "utf-8")
        with Services.open(Settings(home, database_url=url or "", log_level="WARNING")) as services:
            services.catalogs.apply(load([home / "catalog.yaml"]).sealed(services.secrets.seal))
            system = System(home, url, services, _start(services.settings, task_cap, workers))
            try:
                _await_consumers(system)
                yield system
            finally:
                system.kill()
                services.embedded_redis.stop()


def _start(
    settings: Settings, task_cap: int, workers: int
) -> Mapping[str, subprocess.Popen[bytes]]:
    slots = ["slots", "--no-control", "--task-cap", str(task_cap)]
    commands = {"housekeeping": ["control"]} | {f"worker-{n}": slots for n in range(1, workers + 1)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
    environment |= {
        "DEPLOYENGINE_HOME": str(settings.home),
        "DEPLOYENGINE_DATABASE_URL": settings.database_url,
        "DEPLOYENGINE_LOG_LEVEL": settings.log_level,
    }
    settings.logs.mkdir(parents=True, exist_ok=True)
    started = {}
    for name, words in commands.items():
        with (settings.logs / f"{name}.log").open("ab") as log:
            started[name] = subprocess.Popen(
                [sys.executable, "-m", "workers", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
    return started


def _await_consumers(system: System) -> None:
    """Until every process answers, so that their start is not taken for work."""
    wanted = len(system.processes)
    deadline = time.monotonic() + PATIENCE
    while len(system.services.app.control.ping(timeout=0.5, limit=wanted)) < wanted:
        system.check()
        if time.monotonic() > deadline:
            raise Broken(f"the processes did not answer within {PATIENCE:g} s")
