"""The roll of workers: who is there, and how many scripts all of them run at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from deployengine.engine.ports import Clock
from deployengine.persistence import Database
from deployengine.persistence.records import WorkerRecord


class Roll:
    """Who is at work; who falls silent for a lease is left out, declared lost or not yet."""

    def __init__(self, database: Database, clock: Clock, lease: float) -> None:
        self._database = database
        self._clock = clock
        self._silence = timedelta(seconds=lease)

    def present(self) -> list[WorkerRecord]:
        """The workers heard of lately."""
        since = self._clock.now() - self._silence
        with self._database.read() as tx:
            return [worker for worker in tx.workers.at_work() if worker.seen_at >= since]

    def task_cap(self) -> int:
        """The slots of all workers together, now."""
        return sum(worker.task_cap for worker in self.present())

    def task_cap_during(self, begin: datetime, end: datetime) -> int | None:
        """The most slots that there were at once between two instants; ``None`` for none."""
        with self._database.read() as tx:
            workers = tx.workers.during(begin, end)
        moments = [max(worker.started_at, begin) for worker in workers]
        return max((_slots_at(workers, moment) for moment in moments), default=None)


def _slots_at(workers: Sequence[WorkerRecord], moment: datetime) -> int:
    return sum(w.task_cap for w in workers if w.started_at <= moment <= w.seen_at)
