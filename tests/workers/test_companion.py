"""The companion: a process that is there for as long as its worker is, and longer by no means."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.engine import PATIENCE, LiveEngine, until

#: Keeps a companion until its stdin is closed.
KEEPER = """
import sys
from workers.companion import Companion
companion = Companion()
companion.start()
sys.stdin.read()
companion.stop()
print("stopped")
"""


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    """A home for the companion's process."""
    with LiveEngine() as live:
        yield live


@contextmanager
def keeper(engine: LiveEngine, code: str = KEEPER) -> Iterator[subprocess.Popen[str]]:
    """A process that keeps a companion."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=engine.environ,
        cwd=engine.scratch,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def companion_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Its companion, once there is one."""
    (found,) = until(psutil.Process(process.pid).children, "a companion")
    return found


def test_a_companion_that_was_killed_is_started_again(engine: LiveEngine) -> None:
    with keeper(engine) as process:
        first = companion_of(process)
        first.kill()
        until(lambda: not first.is_running(), "the end of the first")
        second = companion_of(process)
        assert second.pid != first.pid
        # For a moment after its fork it is still what it was forked from.
        until(lambda: "workers" in second.cmdline(), "the second to be a housekeeping process")


def test_a_companion_that_is_stopped_has_ended_and_does_not_come_again(engine: LiveEngine) -> None:
    with keeper(engine) as process:
        companion = companion_of(process)
        said, _ = process.communicate(timeout=PATIENCE)
        # One that had got far enough says that it was told to end.
        assert said.splitlines()[-1] == "stopped"
        assert not companion.is_running()


def test_a_companion_ends_with_its_worker_even_when_that_is_killed(engine: LiveEngine) -> None:
    with keeper(engine) as process:
        companion = companion_of(process)
        process.send_signal(signal.SIGKILL)
        until(lambda: not companion.is_running(), "the companion's end")


def test_a_companion_that_was_stopped_before_it_began_never_begins(engine: LiveEngine) -> None:
    stopped_at_once = """
from workers.companion import Companion
companion = Companion()
companion._stopped.set()
companion.run()
print(companion._child)
"""
    with keeper(engine, stopped_at_once) as process:
        said, _ = process.communicate(timeout=PATIENCE)
        assert said == "None\n"
