"""A nursery of processes: everything is imported once, and each of the engine's processes is forked
from there, as a fresh start with another command line and environment.

A battery kills and starts hundreds of processes; importing everything each time would be nearly all
that it does. What is forked reads its failpoints and settings from its own environment as ever.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Child:
    """A process of the nursery, with what is used of ``subprocess.Popen``."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code (``-n`` for death by signal n), or ``None`` while it lives."""
        if self.returncode is None:
            self.returncode = self._nursery.code_of(self.pid)
        return self.returncode

    def wait(self) -> int:
        """Blocks until it has ended."""
        while (code := self.poll()) is None:
            time.sleep(0.005)
        return code


class Nursery:
    """The battery's end; as the process that all of the house descend from it dies last."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "battery.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=dict(environ),
            start_new_session=True,
        )
        assert self._process.stdout
        self._said = self._process.stdout.fileno()
        self._buffer = b""
        self._codes: dict[int, int] = {}
        self._born: list[int] = []

    @property
    def pid(self) -> int:
        """Of the nursery itself."""
        return self._process.pid

    def start(self, words: Sequence[str], environ: Mapping[str, str], log: Path) -> Child:
        """A new process: ``python -m`` these words."""
        request = {"words": list(words), "environ": dict(environ), "log": str(log)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while not self._born:
            self._hear(None)
        return Child(self, self._born.pop())

    def code_of(self, pid: int) -> int | None:
        """How a process ended, if it has."""
        self._hear(0)
        return self._codes.get(pid)

    def close(self) -> None:
        """Ends the nursery, not its processes."""
        self._process.kill()
        self._process.wait()

    def _hear(self, timeout: float | None) -> None:
        while select.select([self._said], [], [], timeout)[0]:
            more = os.read(self._said, 65536)
            if not more:
                raise ChildProcessError("the nursery has ended")
            self._buffer += more
            *lines, self._buffer = self._buffer.split(b"\n")
            for line in lines:
                what, pid, *code = line.split()
                if what == b"born":
                    self._codes.pop(int(pid), None)
                    self._born.append(int(pid))
                else:
                    self._codes[int(pid)] = int(code[0])
            timeout = 0


def _serve() -> Mapping[str, object] | None:
    """Forks for every request; returns in each child what it shall be, and at the end nothing."""
    ear, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell)
    buffer = b""
    while True:
        ready, _, _ = select.select([0, ear], [], [])
        if ear in ready:
            os.read(ear, 4096)
            _tell_deaths()
        if 0 not in ready:
            continue
        more = os.read(0, 65536)
        if not more:
            return None
        buffer += more
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(ear)
                os.close(bell)
                request: Mapping[str, object] = json.loads(line)
                return request
            os.write(1, f"born {pid}\n".encode())


def _tell_deaths() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        os.write(1, f"died {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def _become(request: Mapping[str, object]) -> int:
    words, environ, log = request["words"], request["environ"], request["log"]
    assert isinstance(words, list)
    assert isinstance(environ, dict)
    os.setsid()
    said = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.close(said)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environ)
    tempfile.tempdir = None
    gc.unfreeze()
    from deployengine import failpoints

    importlib.reload(failpoints)
    sys.argv = [words[0], *words[1:]]
    if words[0] == "workers":
        from workers.__main__ import main as run_worker

        return run_worker()
    from deployengine.cli.main import main as run_command

    run_command()
    return 0


def main() -> int:
    """The nursery's own life, or that of one of its processes."""
    import asyncssh  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401

    import workers.__main__  # noqa: F401
    from deployengine.cli.lazy_group import every_command
    from deployengine.cli.main import cli

    list(every_command(cli))  # which loads them
    gc.freeze()
    request = _serve()
    return 0 if request is None else _become(request)


if __name__ == "__main__":
    sys.exit(main())
