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
        seen = update(worker).where(worker.c.name == name).values(seen_at=now, task_cap=task_cap)
        if self._connection.execute(seen).rowcount == 0:
            self._connection.execute(
                insert(worker).values(name=name, task_cap=task_cap, started_at=now, seen_at=now)
            )

    def leave(self, name: str) -> None:
        """Takes a worker that has stopped off the roll."""
        self._connection.execute(delete(worker).where(worker.c.name == name))

    def forget(self, before: datetime) -> None:
        """Takes those off the roll that were last heard of before then."""
        self._connection.execute(delete(worker).where(worker.c.seen_at < before))

    def since(self, moment: datetime) -> list[WorkerRecord]:
        """Those heard of since then."""
        query = select(worker).where(worker.c.seen_at >= moment).order_by(worker.c.name)
        return [WorkerRecord(*row) for row in self._connection.execute(query)]
