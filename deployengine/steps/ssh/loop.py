"""One event loop in a thread of its own, for all SSH connections of a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

Result = TypeVar("Result")


class Loop:
    """Runs coroutines for threads that wait for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        thread.start()

    def begin(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Starts a coroutine; the future may be waited for or cancelled in any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """What a coroutine comes to; blocks."""
        return self.begin(coroutine).result()

    def soon(self, act: Any, *arguments: Any) -> None:
        """Calls something in the loop's thread."""
        self._loop.call_soon_threadsafe(act, *arguments)


_making = threading.Lock()


def the_loop() -> Loop:
    """The process's loop; its thread begins when it is first asked for."""
    with _making:  # a cache alone lets threads that ask at the same moment make one each
        return _the_loop()


@cache
def _the_loop() -> Loop:
    return Loop()
