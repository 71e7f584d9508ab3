"""Batches: named sets of releases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from deployengine.persistence.records import BatchRecord, ReleaseRecord, release_record
from deployengine.persistence.releases import COLUMNS as RELEASE_COLUMNS
from deployengine.persistence.schema import batch, batch_release, release


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

    def releases(self, batch_id: int) -> list[ReleaseRecord]:
        """The batch's releases in its order."""
        query = (
            select(*RELEASE_COLUMNS)
            .join(batch_release, batch_release.c.release_id == release.c.id)
            .where(batch_release.c.batch_id == batch_id)
            .order_by(batch_release.c.position)
        )
        return [release_record(row) for row in self._connection.execute(query)]

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
