"""The Redis under test: it can be killed, emptied, put back in time, replaced, and led astray.

The engine knows one socket, which is a link; behind it stands whichever server serves now.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from battery.clock import skewed
from deployengine.embedded.server_binary import find_server

#: Seconds that a server may take to answer.
PATIENCE = 20.0


class RedisServer:
    """One Redis that nobody else uses; ``url`` stays the same whatever becomes of the server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._link = folder / "redis.sock"
        self._binary = str(find_server().path)
        self._number = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._replica: tuple[subprocess.Popen[bytes], Path, int] | None = None
        self._log = folder / "redis.log"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """redis-py's form."""
        return f"unix://{self._link}?db=0"

    @property
    def pids(self) -> set[int]:
        """The processes that belong to the battery and not to the engine."""
        replica = {self._replica[0].pid} if self._replica else set()
        return replica | ({self._child.pid} if self._child else set())

    def client(self, timeout: float | None = 5.0) -> redis.Redis:
        """A new client; the caller closes it."""
        return redis.Redis(unix_socket_path=str(self._link), socket_timeout=timeout)

    def start(self, snapshot: Path | None = None, clock: str | None = None) -> None:
        """Starts a server that is empty, or holds what the snapshot holds."""
        self._child, socket_path, self._port = self._launch(snapshot, clock)
        self._serve(socket_path)

    def kill(self) -> None:
        """SIGKILL; nothing of it is left."""
        _end(self._child)
        self._child = None

    def stop(self) -> None:
        """Ends everything."""
        self.kill()
        if self._replica:
            _end(self._replica[0])
            self._replica = None

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._child:
            os.kill(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._child:
            os.kill(self._child.pid, signal.SIGCONT)

    def snapshot(self) -> Path:
        """What it holds now, in a file."""
        with self.client() as client:
            client.save()
        taken = self._folder / f"snapshot-{time.monotonic_ns()}.rdb"
        shutil.copy(self._folder / str(self._number) / "dump.rdb", taken)
        return taken

    def replicate(self) -> None:
        """Starts a replica and waits until it has everything; from now on it hears no more.

        So what is written after this call is lost when the replica takes over.
        """
        more = ("--replicaof", "127.0.0.1", str(self._port))
        replica = self._launch(None, None, *more)
        with redis.Redis(unix_socket_path=str(replica[1]), socket_timeout=5) as client:
            _until(lambda: client.info("replication").get("master_link_status") == "up")
            client.execute_command("REPLICAOF", "NO", "ONE")
        self._replica = replica

    def promote(self) -> None:
        """The server dies and the replica stands in its place."""
        if self._replica is None:
            return
        self.kill()
        self._child, socket_path, self._port = self._replica
        self._replica = None
        self._serve(socket_path)

    def _launch(
        self, snapshot: Path | None, clock: str | None, *more: str
    ) -> tuple[subprocess.Popen[bytes], Path, int]:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        if snapshot is not None:
            shutil.copy(snapshot, folder / "dump.rdb")
        port, path = _free_port(), folder / "s"
        command = [
            *(self._binary, "--bind", "127.0.0.1", "--port", str(port)),
            *("--unixsocket", str(path), "--dir", str(folder), "--save", ""),
            *("--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *("--repl-diskless-sync-delay", "0", *more),
        ]
        with self._log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **skewed(clock)},
            )
        with redis.Redis(unix_socket_path=str(path), socket_timeout=5) as client:
            _until(lambda: _answers(client))
        return child, path, port

    def _serve(self, path: Path) -> None:
        draft = self._link.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(path)
        draft.replace(self._link)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the Redis under test did not answer within {PATIENCE:g} s")
        time.sleep(0.01)


def _end(child: subprocess.Popen[bytes] | None) -> None:
    if child is not None:
        child.kill()
        child.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
