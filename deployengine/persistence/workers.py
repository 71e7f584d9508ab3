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

    def beat(self, name: str, task_cap: int, now: datetime) -> None:
        """Says that the worker is there, entering it if it is new."""
        seen = update(worker).where(worker.c.name == name, worker.c.left_at.is_(None))
        if self._connection.execute(seen.values(seen_at=now, task_cap=task_cap)).rowcount == 0:
            # A process id may come again on a host: the newer worker takes the older one's place.
            self._connection.execute(delete(worker).where(worker.c.name == name))
            self._connection.execute(
                insert(worker).values(name=name, task_cap=task_cap, started_at=now, seen_at=now)
            )

    def leave(self, name: str, now: datetime) -> None:
        """Says that the worker has stopped."""
        statement = update(worker).where(worker.c.name == name, worker.c.left_at.is_(None))
        self._connection.execute(statement.values(left_at=now, seen_at=now))

    def forget(self, before: datetime) -> None:
        """Takes those off the roll that were last heard of before then."""
        self._connection.execute(delete(worker).where(worker.c.seen_at < before))

    def present(self, since: datetime) -> list[WorkerRecord]:
        """Those heard of since then that have not stopped."""
        query = select(worker).where(worker.c.seen_at >= since, worker.c.left_at.is_(None))
        return [
            WorkerRecord(*row) for row in self._connection.execute(query.order_by(worker.c.name))
        ]

    def during(self, begin: datetime, end: datetime) -> list[WorkerRecord]:
        """Those that were there at some time in between."""
        query = select(worker).where(worker.c.started_at <= end, worker.c.seen_at >= begin)
        return [
            WorkerRecord(*row) for row in self._connection.execute(query.order_by(worker.c.name))
        ]
