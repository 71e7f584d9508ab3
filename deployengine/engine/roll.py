"""The roll of workers: who is there, and how many scripts all of them run at once."""

from __future__ import annotations

from datetime import timedelta

from deployengine.engine.ports import Clock
from deployengine.persistence import Database
from deployengine.persistence.records import WorkerRecord

#: Beats a worker may miss before it counts as gone.
MISSED_BEATS = 4


class Roll:
    """Workers sign on by beating, and off when they stop; who falls silent is left out."""

    def __init__(self, database: Database, clock: Clock, interval: float) -> None:
        self._database = database
        self._clock = clock
        self._silence = timedelta(seconds=max(interval, 1.0) * MISSED_BEATS)

    def beat(self, name: str, task_cap: int) -> None:
        """Says that a worker with so many slots is there."""
        now = self._clock.now()
        with self._database.write() as tx:
            tx.workers.beat(name, task_cap, now)
            tx.workers.forget(now - self._silence * 10)

    def leave(self, name: str) -> None:
        """Says that a worker has stopped."""
        with self._database.write() as tx:
            tx.workers.leave(name)

    def present(self) -> list[WorkerRecord]:
        """The workers heard of lately."""
        with self._database.read() as tx:
            return tx.workers.since(self._clock.now() - self._silence)

    def task_cap(self) -> int:
        """The slots of all workers together."""
        return sum(worker.task_cap for worker in self.present())
