"""Batches: named sets of releases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, Insert, delete, func, insert, select, update

from deployengine.persistence.inserting import insert_of
from deployengine.persistence.records import BatchRecord, ReleaseRecord, release_record
from deployengine.persistence.releases import COLUMNS as RELEASE_COLUMNS
from deployengine.persistence.schema import batch, batch_release, counter, release


@cache
def _count(dialect: str) -> Insert:
    """Adds to a counter, which is made when it is first needed."""
    insert = insert_of(dialect, counter)
    statement: Insert = insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": counter.c.value + insert.excluded.value}
    )
    return statement


class Batches:
    """Batches by name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, name: str, digest: str, release_ids: Sequence[int], now: datetime) -> int:
        """Stores a new batch of these releases, in this order."""
        statement = insert(batch).values(name=name, digest=digest, created_at=now)
        batch_id = int(self._connection.execute(statement.returning(batch.c.id)).scalar_one())
        self._connection.execute(
            insert(batch_release),
            [
                {"batch_id": batch_id, "release_id": release_id, "position": position}
                for position, release_id in enumerate(release_ids)
            ],
        )
        return batch_id

    def find(self, name: str) -> BatchRecord | None:
        """The batch of this name."""
        row = self._connection.execute(select(batch).where(batch.c.name == name)).one_or_none()
        return BatchRecord(*row) if row else None

    def names(self) -> list[str]:
        """All names, the oldest first."""
        return list(self._connection.execute(select(batch.c.name).order_by(batch.c.id)).scalars())

    def latest(self, limit: int) -> list[BatchRecord]:
        """So many at most, the newest first."""
        query = select(batch).order_by(batch.c.id.desc()).limit(limit)
        return [BatchRecord(*row) for row in self._connection.execute(query)]

    def releases(self, batch_id: int) -> list[ReleaseRecord]:
        """The batch's releases in its order."""
        query = (
            select(*RELEASE_COLUMNS)
            .join(batch_release, batch_release.c.release_id == release.c.id)
            .where(batch_release.c.batch_id == batch_id)
            .order_by(batch_release.c.position)
        )
        return [release_record(row) for row in self._connection.execute(query)]

    def strike_off(self, releases: Collection[int]) -> None:
        """Takes releases out of their batches, each of which counts how many it has lost."""
        gone = batch_release.c.release_id.in_(releases)
        counts = select(batch_release.c.batch_id, func.count()).where(gone)
        for batch_id, many in self._connection.execute(
            counts.group_by(batch_release.c.batch_id).order_by(batch_release.c.batch_id)
        ).all():
            row = {"name": _removed(batch_id), "value": many}
            self._connection.execute(_count(self._connection.dialect.name), row)
        self._connection.execute(delete(batch_release).where(gone))

    def struck_off(self, batch_id: int) -> int:
        """How many releases of the batch have been removed."""
        query = select(counter.c.value).where(counter.c.name == _removed(batch_id))
        return int(self._connection.execute(query).scalar() or 0)

    def cancel(self, batch_id: int, now: datetime) -> None:
        """Marks the batch, so that no release of it is promoted any more."""
        statement = update(batch).where(batch.c.id == batch_id, batch.c.cancelled_at.is_(None))
        self._connection.execute(statement.values(cancelled_at=now))

    def cancelled(self, release_id: int) -> bool:
        """Whether a batch with this release was cancelled.

        Keeps its batches from being cancelled before the transaction ends: who cancels one then
        sees what the transaction began.
        """
        query = (
            select(batch.c.cancelled_at)
            .join(batch_release, batch_release.c.batch_id == batch.c.id)
            .where(batch_release.c.release_id == release_id)
            .with_for_update(read=True, of=batch)
        )
        return any(moment is not None for moment in self._connection.execute(query).scalars())


def _removed(batch_id: int) -> str:
    """The counter of a batch's releases that have been removed."""
    return f"batch-{batch_id}-removed"
