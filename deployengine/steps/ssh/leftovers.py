"""Tickets that nobody needs any more leave their machine several at once, or with the next start.

Each removal by itself would be a session of its own: on the way as long as a start, and on the
machine half as dear.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

from deployengine.steps.errors import StepError
from deployengine.steps.ssh.loop import the_loop

log = logging.getLogger("deployengine.steps")

#: So many go with one request.
MOST = 50


class Leftovers:
    """Those of one machine. ``clean`` asks it to remove tickets: names, each with its fences."""

    def __init__(self, machine: str, clean: Callable[[list[str]], Awaitable[bytes]]) -> None:
        self._machine = machine
        self._clean = clean
        #: Seconds that a ticket waits for the next start on its machine.
        self.pause = 1.0
        self._tickets: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._sweep: asyncio.Task[None] | None = None

    def add(self, name: str, known: str) -> None:
        """Has a ticket removed soon; ``known`` are the fences under which it may have begun."""
        with self._lock:
            self._tickets.append((name, known))
        the_loop().soon(self._see_to_it)

    def take(self) -> list[str]:
        """Some of them, as words, for whoever has them removed with what he asks for anyway."""
        with self._lock:
            some, self._tickets = self._tickets[:MOST], self._tickets[MOST:]
        return [word for pair in some for word in pair]

    # ---- in the loop's thread ----

    async def remove(self) -> None:
        """Removes all at once; what cannot be removed is left."""
        while words := self.take():
            try:
                running = await self._clean(words)
            except StepError as error:
                log.warning("%d tickets are removed later: %s", len(words) // 2, error)
                return
            for name in running.decode().splitlines():
                log.warning("machine %s: ticket %s still runs: left", self._machine, name)

    def _see_to_it(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.ensure_future(self._remove_soon())

    async def _remove_soon(self) -> None:
        await asyncio.sleep(self.pause)
        self._sweep = None
        await self.remove()
