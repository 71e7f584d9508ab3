"""Witnesses: they note everything that others on a host could see of an engine while it works."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

#: Between two looks at all processes: seconds.
_PAUSE = 0.02


class _Witness:
    """Looks on from a thread of its own while the block lasts."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _look_on(self) -> None:
        raise NotImplementedError


class ProcessList(_Witness):
    """Command lines and environments of all processes but scripts and what scripts start."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[bytes] = set()
        #: How often a ticket's wrapper was seen: a list without any has seen no script run.
        self.wrappers = 0

    def _look_on(self) -> None:
        while not self._end.wait(_PAUSE):
            found = {int(p.name): _Process(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
            wrappers = {number for number, p in found.items() if b"wrapper.sh" in p.command}
            self.wrappers += len(wrappers)
            for process in found.values():
                if not _descends(process, wrappers, found):
                    self.seen |= {process.command, process.environment}


class _Process:
    def __init__(self, folder: Path) -> None:
        self.command, self.environment, self.parent = b"", b"", 0
        with suppress(OSError, IndexError):
            self.parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            self.command = (folder / "cmdline").read_bytes()
            self.environment = (folder / "environ").read_bytes()


def _descends(process: _Process, of: set[int], found: dict[int, _Process]) -> bool:
    """Whether one of these is above the process."""
    above: _Process | None = process
    while above and above.parent:
        if above.parent in of:
            return True
        above = found.get(above.parent)
    return False


class RedisCommands(_Witness):
    """Every command that a Redis on this socket is given."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0.2)
        self._socket.connect(str(path))
        self._socket.sendall(b"MONITOR\r\n")
        self.seen = bytearray(self._socket.recv(64))

    def _look_on(self) -> None:
        with self._socket:
            while True:
                with suppress(TimeoutError):
                    self.seen += self._socket.recv(1_000_000)
                    continue
                if self._end.is_set():
                    return


def content(client: redis.Redis) -> bytes:
    """All keys of a Redis and what is in them."""
    found: Any = []
    for key in client.scan_iter():
        read = {
            b"string": lambda k: client.get(k),
            b"list": lambda k: client.lrange(k, 0, -1),
            b"set": lambda k: client.smembers(k),
            b"zset": lambda k: client.zrange(k, 0, -1, withscores=True),
            b"hash": lambda k: client.hgetall(k),
            b"stream": lambda k: client.xrange(k),
        }[client.type(key)]  # type: ignore[index]
        found.append((key, read(key)))
    return repr(found).encode()
