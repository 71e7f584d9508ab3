"""The roll of workers: who is there, and how many scripts all of them run at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from deployengine.engine.ports import Clock
from deployengine.persistence import Database
from deployengine.persistence.records import WorkerRecord

#: Beats a worker may miss before it counts as gone.
MISSED_BEATS = 4
#: How long a worker that is gone is remembered, for the reports of batches that it worked on.
REMEMBERED = timedelta(days=90)


class Roll:
    """Workers sign on by beating, and off when they stop; who falls silent is left out."""

    def __init__(self, database: Database, clock: Clock, interval: float) -> None:
        self._database = database
        self._clock = clock
        self._silence = timedelta(seconds=max(interval, 1.0) * MISSED_BEATS)

    def beat(self, name: str, task_cap: int) -> None:
        """Says that a worker with so many slots is there."""
        now = self._clock.now()
        with self._database.write("beat") as tx:
            tx.workers.beat(name, task_cap, now)
            tx.workers.forget(now - REMEMBERED)

    def leave(self, name: str) -> None:
        """Says that a worker has stopped."""
        with self._database.write("leave") as tx:
            tx.workers.leave(name, self._clock.now())

    def present(self) -> list[WorkerRecord]:
        """The workers heard of lately."""
        with self._database.read() as tx:
            return tx.workers.present(self._clock.now() - self._silence)

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
