"""Named events between a test and the script that it runs."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self


class Gate:
    """A FIFO. In a script: ``echo > ready`` rings, ``read x < go`` waits to be let through."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        path.chmod(0o666)  # a script may run as somebody else
        # Open for both, so that neither side ever blocks in opening it.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def hear(self) -> None:
        """Blocks until a script rings, one ring a call; one that never does fails the test."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        assert poll.poll(10_000), "the script did not get as far as this"
        # One byte, not all there are: a second ring may already be there, for a second call.
        os.read(self._descriptor, 1)

    def let(self) -> None:
        """Lets one reader through."""
        os.write(self._descriptor, b"go\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Waits for something that nobody tells; a condition that never comes true fails the test."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, otherwise
        os.sched_yield()
