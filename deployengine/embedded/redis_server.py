"""The Redis in the home: a real server, started by whoever needs it first.

It keeps nothing on disk. SQL is the truth; locks and queues are rebuilt from it when the server
comes back empty, and a snapshot would only bring back a state that SQL has left behind.
It never evicts: a lock that is dropped to save memory would let two scripts clash.

Three files beside the socket hold the processes apart:

- ``starting.lock``  held by who starts or stops the server, so two never do it at once;
- ``alive.lock``     inherited by the server and so held for exactly as long as it lives, which
  no process id can promise, because ids are given out again;
- ``socket.txt``     where the socket is: with a long home it lies in the temporary folder, and
  processes need not agree on that folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deployengine.domain.errors import Unreachable
from deployengine.embedded.broker_url import broker_url
from deployengine.embedded.private_folder import private_folder, socket_folder
from deployengine.embedded.server_binary import ServerBinary, find_server
from deployengine.file_lock import is_held, locked

__all__ = ["EmbeddedRedis", "broker_url"]

SOCKET = "redis.sock"

#: How long a server may take to answer after its start, or to end after it was asked to; seconds.
PATIENCE = 10.0

#: How long one answer may take. A server that is busy for longer counts as running all the same.
ANSWER_WITHIN = 2.0


class EmbeddedRedis:
    """The server of one home; every process may have its own such object for it.

    The server outlives the process that started it, until :meth:`stop`.
    """

    def __init__(self, home: Path, find: Callable[[], ServerBinary] = find_server) -> None:
        self._folder = home.resolve() / "redis"
        self._log = home.resolve() / "logs" / "redis.log"
        self._starting = self._folder / "starting.lock"
        self._alive = self._folder / "alive.lock"
        self._recorded = self._folder / "socket.txt"
        self._pid = self._folder / "redis.pid"
        self._find = find

    @property
    def url(self) -> str:
        """redis-py's URL of the server, running or not."""
        return f"unix://{quote(str(self._socket()))}?db=0"

    def ensure(self) -> str:
        """The URL of the running server; starts one if none answers, however many ask at once.

        Raises :class:`Unreachable` when there is no server to start or it does not come up.
        """
        if self.running():
            return self.url
        private_folder(self._folder)
        with locked(self._starting):
            if not self.running():
                # Alive and deaf: its socket was swept away. Nothing in it is worth keeping.
                self._end()
                self._start()
            return self.url

    def running(self) -> bool:
        """Whether the server lives and listens."""
        if not is_held(self._alive):
            return False
        try:
            with self._client() as client:
                client.ping()
        except redis.ConnectionError:
            return False
        except (redis.TimeoutError, redis.ResponseError):
            # Busy, with a long script for one: no reason to start another.
            return True
        return True

    def stop(self) -> None:
        """Ends the server and waits until its process is gone; does nothing if there is none."""
        if not self._starting.exists():
            return
        with locked(self._starting):
            self._end()

    @property
    def version(self) -> str:
        """What the running server is, as ``redis 8.2.3``; raises :class:`Unreachable`."""
        try:
            with self._client() as client:
                info = client.info("server")
        except redis.RedisError as error:
            raise Unreachable("the embedded Redis", self.url, str(error)) from error
        valkey = info.get("valkey_version")
        return f"valkey {valkey}" if valkey else f"redis {info['redis_version']}"

    def _socket(self) -> Path:
        with suppress(FileNotFoundError):
            return Path(self._recorded.read_text("utf-8"))
        return socket_folder(self._folder, SOCKET) / SOCKET

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self._socket()),
            socket_timeout=ANSWER_WITHIN,
            retry=Retry(NoBackoff(), 0),
        )

    def _start(self) -> None:
        binary = self._find()
        socket = private_folder(socket_folder(self._folder, SOCKET)) / SOCKET
        socket.unlink(missing_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._record(socket)
        with locked(self._alive) as alive, self._log.open("ab") as log:
            try:
                self._launch([str(binary.path), *self._options(socket)], alive, log)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unreachable("the embedded Redis", str(socket), str(error)) from error
        _within(PATIENCE, lambda: self.running() or not is_held(self._alive))
        if not self.running():
            self._end()
            raise Unreachable("the embedded Redis", str(socket), f"{binary}: see {self._log}")

    @staticmethod
    def _launch(command: list[str], alive: int, log: IO[bytes]) -> None:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")},
            pass_fds=[alive],
            start_new_session=True,
            timeout=PATIENCE,
            check=False,
        )

    def _record(self, socket: Path) -> None:
        # By rename, so that nobody reads half a path.
        draft = self._recorded.with_suffix(".new")
        draft.write_text(str(socket), "utf-8")
        draft.replace(self._recorded)

    def _options(self, socket: Path) -> list[str]:
        return [
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *("--dir", str(self._folder), "--pidfile", str(self._pid)),
            # Its own detaching, rather than ours, leaves no child behind to be reaped.
            *("--logfile", str(self._log), "--daemonize", "yes"),
        ]

    def _end(self) -> None:
        ways = (self._ask, partial(self._send, signal.SIGTERM), partial(self._send, signal.SIGKILL))
        for way in ways:
            if is_held(self._alive) and way():
                _within(PATIENCE, lambda: not is_held(self._alive))
        if is_held(self._alive):
            advice = f"end the process that {self._pid} names by hand"
            raise Unreachable("an end of the embedded Redis", str(self._socket()), advice)
        self._sweep()

    def _ask(self) -> bool:
        if not self.running():
            return False
        try:
            with self._client() as client:
                client.shutdown(nosave=True)
        except redis.RedisError:
            return False
        return True

    def _send(self, word: signal.Signals) -> bool:
        # The lock is held, so the server lives and the id in its file is its own.
        try:
            os.kill(int(self._pid.read_text("ascii")), word)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return False
        return True

    def _sweep(self) -> None:
        socket = self._socket()
        for left in (socket, self._recorded, self._pid):
            left.unlink(missing_ok=True)
        if socket.parent != self._folder:
            with suppress(OSError):
                socket.parent.rmdir()


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
