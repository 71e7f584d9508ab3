"""Crew: a bounded number of threads that do the same for many, and wait for nobody who hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

R = TypeVar("R")

#: A name, and what came of it; ``None``: it hangs.
Report = tuple[str, "R | Exception | None"]


class Crew(Generic[R]):
    """Acts for one name in one thread; for whoever gives it work, not for several at once.

    Whoever has been at it for longer than ``patience`` (seconds) hangs, and counts as at work no
    more: others take the place. There is one thread for a name at most, and ``size`` of them
    besides those that hang.
    """

    def __init__(self, act: Callable[[str], R], size: int, patience: float) -> None:
        self._act = act
        self._size = size
        self._patience = patience
        self._reports: SimpleQueue[tuple[str, R | Exception]] = SimpleQueue()
        self._ends: dict[str, float] = {}
        self._hanging: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether a report is yet to come from somebody who does not hang."""
        return bool(self._ends)

    def takes(self, name: str) -> bool:
        """Whether somebody is free to begin on a name, and nobody is at it already."""
        at_it = name in self._ends or name in self._hanging
        return not at_it and len(self._ends) < self._size

    def begin(self, name: str) -> bool:
        """Begins on a name, if the crew :meth:`takes` it."""
        if not self.takes(name):
            return False
        self._ends[name] = time.monotonic() + self._patience
        # A daemon: the process may end while one of them hangs.
        threading.Thread(target=self._do, args=(name,), name=f"look at {name}", daemon=True).start()
        return True

    def reports(self, timeout: float) -> list[Report[R]]:
        """What has come by now; waits for the first for so many seconds.

        One that hangs reports that once, and once more should it come to an end after all.
        """
        until = min([time.monotonic() + timeout, *self._ends.values()])
        found: list[Report[R]] = []
        try:
            found.append(self._reports.get(timeout=max(until - time.monotonic(), 0.0)))
            while True:
                found.append(self._reports.get_nowait())
        except Empty:
            pass
        for name, _ in found:
            self._ends.pop(name, None)
            self._hanging.discard(name)
        now = time.monotonic()
        late = [name for name, end in self._ends.items() if end <= now]
        for name in late:
            del self._ends[name]
            self._hanging.add(name)
        return [*found, *((name, None) for name in late)]

    def _do(self, name: str) -> None:
        try:
            report: R | Exception = self._act(name)
        except Exception as error:  # told to whoever reads the reports
            report = error
        self._reports.put((name, report))
