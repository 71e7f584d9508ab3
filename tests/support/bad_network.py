"""A network in between that cuts connections, or falls silent, at a moment of the test's choice."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)


class BadNetwork:
    """Forwards connections to a port of this host; pieces that pass, either way, are counted.

    Whatever is set to happen happens once, to all connections that there are then.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._silent: set[socket.socket] = set()
        self._cut_at: int | None = None
        self._stall_at: int | None = None
        self.passed = 0
        #: How often connections were cut.
        self.cuts = 0
        #: Whether new connections are refused, and whether they will be after the next cut.
        self.deaf = False
        self.deaf_after_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, pieces: int | None) -> None:
        """Resets all connections when so many more pieces have passed; the count begins anew."""
        with self._lock:
            self.cuts = 0
            self._cut_at = None if pieces is None else self.passed + pieces

    def stall_after(self, pieces: int) -> None:
        """From then on nothing passes on the connections that there are, and nobody is told."""
        with self._lock:
            self._stall_at = self.passed + pieces

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Resets all connections now."""
        with self._lock:
            self._cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.deaf:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                with self._lock:
                    self.passed += 1
                    if self.passed == self._cut_at:
                        self._cut()
                        return
                    if self.passed == self._stall_at:
                        self._silent.update(self._open)
                    silent = source in self._silent
                if not silent:
                    sink.sendall(piece)
        if source not in self._silent:
            for each in (source, sink):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        self.cuts += 1
        self.deaf = self.deaf or self.deaf_after_cut
        for each in self._open:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()
