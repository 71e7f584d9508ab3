"""The slots: a pool of threads that fetches the next message the moment one of them is free.

With ``worker_disable_prefetch`` the consumer asks Redis for a message only while a slot is free.
It looks once per turn of its event loop, and nothing turns the loop when a thread ends its task,
so a full worker would notice a free slot up to a second late. This pool turns it.
"""

from __future__ import annotations

import os
from typing import Any

from celery.concurrency.thread import ApplyResult, TaskPool


class SlotPool(TaskPool):
    """Celery's thread pool, which wakes the consumer's event loop whenever a task has ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def register_with_event_loop(self, loop: Any) -> None:
        """Called by Celery whenever it has made a connection and begins to loop."""
        loop.add_reader(self._reader, self._drain)

    def on_apply(self, *args: Any, **kwargs: Any) -> ApplyResult:
        """Runs a task in a free thread."""
        result = super().on_apply(*args, **kwargs)
        result.f.add_done_callback(self._wake)
        return result

    def _wake(self, _ended: object) -> None:
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            pass  # the loop has yet to read what woke it before

    def _drain(self) -> None:
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            pass
