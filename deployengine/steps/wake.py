"""A bell that ends a wait from another thread."""

from __future__ import annotations

import os
import select
from types import TracebackType
from typing import Self


class Wake:
    """Once set, every wait that was given this bell returns at once, until it is cleared.

    One bell may serve any number of waits. It holds a pipe, so close it (or use ``with``).
    """

    def __init__(self) -> None:
        self._ear, self._hand = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor that is readable as long as the bell is set."""
        return self._ear

    def set(self) -> None:
        """Rings; ringing again changes nothing. Safe from a thread or a signal handler."""
        try:
            os.write(self._hand, b"!")
        except BlockingIOError:
            pass  # the pipe is full of rings already

    def wait(self, seconds: float) -> bool:
        """Waits until it rings, or so long; whether it has rung."""
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))

    def clear(self) -> None:
        """Makes later waits block again."""
        try:
            while os.read(self._ear, 4096):
                pass
        except BlockingIOError:
            pass

    def is_set(self) -> bool:
        """Whether it rang since the last clear."""
        return self.wait(0)

    def close(self) -> None:
        """Gives the descriptors back; no wait may still use them."""
        os.close(self._ear)
        os.close(self._hand)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
