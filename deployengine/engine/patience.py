"""Waiting for an end that other processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from deployengine.domain.errors import GaveUpWaiting

T = TypeVar("T")

#: Seconds between two looks, at least.
SHORTEST_PAUSE = 0.3
#: Looking may take up this share of the time at most, however much there is to look at.
SHARE = 0.05


def looks(look: Callable[[], T], what: str, timeout: float | None = None) -> Iterator[T]:
    """Looks again and again, for as long as the caller goes on asking.

    Raises :class:`GaveUpWaiting` after ``timeout`` seconds; ``None`` never gives up.
    """
    begun = time.monotonic()
    while True:
        before = time.monotonic()
        yield look()
        cost = time.monotonic() - before
        if timeout is not None and time.monotonic() - begun >= timeout:
            raise GaveUpWaiting(what, timeout)
        time.sleep(max(SHORTEST_PAUSE, cost / SHARE))
