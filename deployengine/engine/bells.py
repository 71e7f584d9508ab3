"""Bells: one for each run that this process is at work on, to end its waits from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from deployengine.steps.wake import Wake


class LetGo(Exception):
    """This process is ending and leaves its scripts to other workers."""


class Bells:
    """Knows by number which runs are carried out here."""

    def __init__(self) -> None:
        self._bells: dict[int, Wake] = {}
        self._lock = threading.Lock()
        self._closing = False

    @contextmanager
    def hung(self, number: int) -> Iterator[Wake | None]:
        """A bell for the run as long as the block lasts; ``None`` when it has one already."""
        with Wake() as bell:
            with self._lock:
                if self._closing:
                    bell.set()
                first = self._bells.setdefault(number, bell) is bell
            try:
                yield bell if first else None
            finally:
                if first:
                    with self._lock:
                        del self._bells[number]

    def ring(self, numbers: Iterable[int]) -> None:
        """Rings those that hang here."""
        with self._lock:
            for number in numbers:
                if number in self._bells:
                    self._bells[number].set()  # under the lock: it is closed once it is gone

    def hangs(self, number: int) -> bool:
        """Whether this process is at work on the run."""
        with self._lock:
            return number in self._bells

    def ring_out(self) -> None:
        """Rings all there are and will be: whoever asks is told to let go."""
        self._closing = True
        with self._lock:
            for bell in self._bells.values():
                bell.set()

    def check(self) -> None:
        """Raises :class:`LetGo` once they are rung out."""
        if self._closing:
            raise LetGo
