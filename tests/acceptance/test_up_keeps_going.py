"""What `up` has started and somebody kills is started again, however soon it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

import psutil

from tests.acceptance.catalogs import catalog, project
from tests.support.engine import LiveEngine, until


def children(up: subprocess.Popen[bytes], kind: str) -> list[int]:
    """The worker or housekeeping processes of `up`."""
    found = []
    for process in psutil.Process(up.pid).children():
        with suppress(psutil.Error):  # it may end at any moment
            if kind in process.cmdline():
                found.append(process.pid)
    return found


def test_a_worker_and_housekeeping_that_are_killed_at_once_come_back_and_carry_the_release(
    engine: LiveEngine,
) -> None:
    engine.apply(catalog(project("app")))
    up = engine.up()
    for kind in ("slots", "control"):
        first = _one(up, kind)
        os.kill(first, signal.SIGKILL)
        _one(up, kind, other_than=first)
    (deployment,) = engine.create("app")
    assert engine.await_end(deployment.id) == "succeeded"
    assert up.poll() is None
    assert engine.end(up, signal.SIGTERM) == 0


def _one(up: subprocess.Popen[bytes], kind: str, other_than: int | None = None) -> int:
    def found() -> list[int]:
        return [pid for pid in children(up, kind) if pid != other_than]

    return until(found, f"a process {kind}")[0]
