"""Worker processes: what they take at once and when they were last heard of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from deployengine.persistence.records import WorkerRecord
from deployengine.persistence.schema import worker


class Workers:
    """The roll of worker processes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enter(self, name: str, task_cap: int, now: datetime, place: str | None = None) -> None:
        """Enters a worker under a name that nobody has had before."""
        self._connection.execute(
            insert(worker).values(
                name=name, task_cap=task_cap, started_at=now, seen_at=now, place=place
            )
        )

    def beat(self, name: str, now: datetime) -> bool:
        """Counts a sign of life; false for one that was declared lost, or has left."""
        seen = update(worker).where(
            worker.c.name == name, worker.c.left_at.is_(None), worker.c.lost_at.is_(None)
        )
        values = {"seen_at": now, "beat": worker.c.beat + 1}
        return self._connection.execute(seen.values(**values)).rowcount == 1

    def lose(self, name: str, beat: int, now: datetime) -> bool:
        """Declares a worker lost whose count still stands there; whether this call did it."""
        statement = update(worker).where(
            worker.c.name == name,
            worker.c.beat == beat,
            worker.c.left_at.is_(None),
            worker.c.lost_at.is_(None),
        )
        return self._connection.execute(statement.values(lost_at=now)).rowcount == 1

    def leave(self, name: str, now: datetime) -> None:
        """Says that the worker has stopped."""
        statement = update(worker).where(worker.c.name == name, worker.c.left_at.is_(None))
        self._connection.execute(statement.values(left_at=now, seen_at=now))

    def forget(self, before: datetime) -> None:
        """Takes those off the roll that were last heard of before then."""
        self._connection.execute(delete(worker).where(worker.c.seen_at < before))

    def at_work(self) -> list[WorkerRecord]:
        """Those that have neither stopped nor been declared lost."""
        query = select(worker).where(worker.c.left_at.is_(None), worker.c.lost_at.is_(None))
        return [
            WorkerRecord(*row) for row in self._connection.execute(query.order_by(worker.c.name))
        ]

    def during(self, begin: datetime, end: datetime) -> list[WorkerRecord]:
        """Those that were there at some time in between."""
        query = select(worker).where(worker.c.started_at <= end, worker.c.seen_at >= begin)
        return [
            WorkerRecord(*row) for row in self._connection.execute(query.order_by(worker.c.name))
        ]
