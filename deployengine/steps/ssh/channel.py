"""One command on a machine: what it writes, and how it ended; filled by the loop, for threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import asyncssh

from deployengine.steps.ssh.agent import GREETING
from deployengine.steps.ssh.loop import the_loop

#: So much unread output is held here; beyond that the machine has to wait with more.
MOST_UNREAD = 4_000_000
#: So much of what a login prints before the greeting is looked at.
_MOST_NOISE = 65_536
#: How many lines of what is no talk of the agent's are kept, for error messages.
_MOST_SAID = 20
_TALK = "de:"
_GREETING = GREETING.decode().strip()
_STDERR = asyncssh.EXTENDED_DATA_STDERR


class Channel(asyncssh.SSHClientSession[bytes]):
    """What comes back: ``body`` (stdout after the greeting), ``talk`` and ``tail`` (stderr).

    ``talk`` are the lines that begin with "de:", without that; ``said`` are other lines, those of
    the login until the greeting comes. What follows a talk of "outputs" is the ``tail``. ``news``
    is called in the loop's thread whenever there is more.
    """

    def __init__(self, news: Callable[[], None] = lambda: None) -> None:
        self._news = news
        self._lock = threading.Lock()
        self._channel: Any = None
        self._noise: bytearray | None = bytearray()
        self._line = bytearray()
        #: Whether the greeting has come on stderr; talk before it is none.
        self._talks = False
        self.paused = False
        self._body = bytearray()
        #: How many bytes of the body were dropped as read.
        self._dropped = 0
        self.talk: list[str] = []
        self.said: list[str] = []
        self.tail: bytearray | None = None
        self.status: int | None = None
        self.closed = threading.Event()
        #: The same, of the loop.
        self.over = asyncio.Event()
        #: Whether the machine takes more; of the loop.
        self.writable = asyncio.Event()
        self.writable.set()

    # ---- in the loop's thread ----

    @property
    def remote(self) -> Any:
        """The channel itself, once the command runs."""
        return self._channel

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The command is about to run."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """More of what it writes."""
        with self._lock:
            if datatype == _STDERR:
                self._hear(data)
            else:
                self._take(data)
            if len(self._body) > MOST_UNREAD and not self.paused:
                self.paused = True
                self._channel.pause_reading()
        self._news()

    def exit_status_received(self, status: int) -> None:
        """It has ended by itself."""
        self.status = status

    def connection_lost(self, _exc: Exception | None) -> None:
        """Nothing more comes."""
        self.closed.set()
        self.over.set()
        self.writable.set()
        self._news()

    def pause_writing(self) -> None:
        """The machine cannot keep up."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """It takes more."""
        self.writable.set()

    def _take(self, data: bytes) -> None:
        if self._noise is None:
            self._body += data
            return
        self._noise += data
        _, greeting, after = self._noise.partition(GREETING)
        if greeting:
            self._noise = None
            self._body += after
        elif len(self._noise) > _MOST_NOISE:
            del self._noise[: -len(GREETING)]

    def _hear(self, data: bytes) -> None:
        if self.tail is not None:
            self.tail += data
            return
        self._line += data
        while self.tail is None and (end := self._line.find(b"\n")) >= 0:
            line = self._line[:end].decode("utf-8", "replace").rstrip("\r")
            del self._line[: end + 1]
            if line == _GREETING:
                self._talks, self.said = True, []
            elif not (self._talks and line.startswith(_TALK)):
                self.said = [*self.said, line][-_MOST_SAID:]
            elif line == f"{_TALK}outputs":
                self.tail, self._line = self._line, bytearray()
            else:
                self.talk.append(line.removeprefix(_TALK))

    # ---- in any thread ----

    @property
    def greeted(self) -> bool:
        """Whether the agent has begun to answer."""
        return self._noise is None

    @property
    def whole(self) -> bool:
        """Whether the command ended by itself, so that all it wrote is here."""
        return self.closed.is_set() and self.status is not None

    @property
    def length(self) -> int:
        """How many bytes of the body have come."""
        with self._lock:
            return self._dropped + len(self._body)

    def read(self, offset: int, limit: int) -> bytes | None:
        """A piece of the body; ``None`` when that was dropped. What lies before it is dropped."""
        with self._lock:
            start = offset - self._dropped
            if start < 0:
                return None
            piece = bytes(self._body[start : start + limit])
            if start > MOST_UNREAD // 4:
                del self._body[:start]
                self._dropped = offset
            resume = self.paused and len(self._body) <= MOST_UNREAD // 2
            if resume:
                self.paused = False
        if resume:
            the_loop().soon(self._channel.resume_reading)
        return piece

    def forget(self) -> None:
        """Closes the channel, unless it has ended."""
        if self._channel is not None and not self.closed.is_set():
            the_loop().soon(self._channel.abort)

    def words(self, kind: str) -> str | None:
        """What a line of talk of this kind says, the last one; ``None`` if there is none."""
        for line in reversed(self.talk):
            word, _, rest = line.partition(" ")
            if word == kind:
                return rest
        return None
