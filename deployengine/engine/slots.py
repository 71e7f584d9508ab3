"""Slots: how many scripts this process may have running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """The task cap of one process, with room for scripts that were running before they came.

    A script that outlived its worker is taken over whether a slot is free or not, since it runs
    already. Nothing new is begun until it and others have made room again, so that after a crash
    no more scripts run than the cap allows, but for those that ran then.
    """

    def __init__(self, task_cap: int) -> None:
        self._cap = task_cap
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A slot for something new; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken < self._cap)
            self._taken += 1
        yield from self._given_back()

    @contextmanager
    def besides(self) -> Iterator[None]:
        """Room for a script that runs already."""
        with self._changed:
            self._taken += 1
        yield from self._given_back()

    def _given_back(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()
