"""A Unix socket between the engine and PostgreSQL that cuts where it hurts.

It reads the client's messages one by one (the protocol's own framing), so a cut can be at the N-th
statement, or after a COMMIT was carried out and before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"

#: Startup packets that are followed by another one: SSL and GSS encryption are asked for.
_ASKING = (80877103, 80877104)


class PostgresProxy:
    """Serves ``folder`` as a server's socket folder; a thread of its own does the work."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._folder = folder
        self._server = server / SOCKET
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._away = False
        self._cut_at: int | None = None
        self._cut_commit = False
        #: How many connections were cut in the midst of something.
        self.cuts = 0

    def start(self) -> None:
        """Begins to listen."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

        async def listen() -> None:
            self._listener = await asyncio.start_unix_server(
                self._serve, str(self._folder / SOCKET), limit=1 << 24
            )

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result()

    def stop(self) -> None:
        """Cuts everything and ends."""
        self.away()
        self._call(lambda: self._listener.close() if self._listener else None)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def away(self) -> None:
        """The database cannot be reached: all connections are cut, new ones refused."""

        def leave() -> None:
            self._away = True
            for writer in self._open:
                writer.transport.abort()

        self._call(leave)

    def back(self) -> None:
        """It can be reached again."""
        self._away = False

    def cut_message(self, number: int) -> None:
        """The so-manieth client message from now on is lost, and its connection with it."""
        self._cut_at = number

    def cut_commit(self) -> None:
        """The next COMMIT is carried out, and its answer is lost with the connection."""
        self._cut_commit = True

    def disarm(self) -> None:
        """Cuts nothing any more."""
        self._cut_at, self._cut_commit = None, False

    def _call(self, act: Callable[[], object]) -> None:
        done: Future[None] = Future()

        def call() -> None:
            act()
            done.set_result(None)

        self._loop.call_soon_threadsafe(call)
        done.result(timeout=10)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        self._open.add(answer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._away:
                return
            server, upstream = await asyncio.open_unix_connection(str(self._server))
            link = _Link(client, upstream, server, answer)
            back = asyncio.ensure_future(link.relay_answers())
            try:
                await self._relay(link)
            finally:
                back.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await back
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(answer)
            answer.transport.abort()
            if upstream is not None:
                upstream.transport.abort()

    async def _relay(self, link: _Link) -> None:
        await link.start_up()
        while True:
            kind, message = await link.message()
            if self._to_be_cut():
                self.cuts += 1
                return
            if self._cut_commit and kind == b"Q" and message[5:11].upper() == b"COMMIT":
                self._cut_commit = False
                self.cuts += 1
                link.withhold = asyncio.Event()
                link.upstream.write(message)
                await link.upstream.drain()
                await link.withhold.wait()
                return
            link.upstream.write(message)
            await link.upstream.drain()

    def _to_be_cut(self) -> bool:
        if self._cut_at is None:
            return False
        self._cut_at -= 1
        if self._cut_at > 0:
            return False
        self._cut_at = None
        return True


class _Link:
    """One client's connection and its twin to the server."""

    def __init__(
        self,
        client: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        answer: asyncio.StreamWriter,
    ) -> None:
        self.upstream = upstream
        self._client = client
        self._server = server
        self._answer = answer
        #: While it is there answers go nowhere; set when one was swallowed.
        self.withhold: asyncio.Event | None = None

    async def start_up(self) -> None:
        """Relays what comes before the first message that has a type."""
        code = _ASKING[0]
        while code in _ASKING:
            head = await self._client.readexactly(8)
            length, code = struct.unpack("!II", head)
            self.upstream.write(head + await self._client.readexactly(length - 8))
            await self.upstream.drain()

    async def message(self) -> tuple[bytes, bytes]:
        """The next message's type and all its bytes."""
        head = await self._client.readexactly(5)
        length = struct.unpack("!I", head[1:])[0]
        return head[:1], head + await self._client.readexactly(length - 4)

    async def relay_answers(self) -> None:
        """Carries back what the server says."""
        while chunk := await self._server.read(1 << 16):
            if self.withhold is not None:
                self.withhold.set()
                return
            self._answer.write(chunk)
            await self._answer.drain()
        self._answer.transport.abort()
        if self.withhold is not None:
            self.withhold.set()
