"""Releases and their snapshots: inserted once, never updated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from deployengine.domain.release import Snapshot
from deployengine.persistence.records import ReleaseRecord
from deployengine.persistence.schema import release

COLUMNS = (
    release.c.id,
    release.c.project,
    release.c.version,
    release.c.channel,
    release.c.digest,
    release.c.created_at,
)


class Releases:
    """Releases by id and by project and version."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, snapshot: Snapshot, now: datetime) -> ReleaseRecord:
        """Stores a new release."""
        statement = insert(release).values(
            project=snapshot.project,
            version=snapshot.version,
            channel=snapshot.channel,
            digest=snapshot.digest,
            snapshot=dict(snapshot.document),
            created_at=now,
        )
        row = self._connection.execute(statement.returning(*COLUMNS)).one()
        return ReleaseRecord(*row)

    def find(self, project: str, version: str) -> ReleaseRecord | None:
        """The project's release of this version."""
        query = select(*COLUMNS).where(release.c.project == project, release.c.version == version)
        row = self._connection.execute(query).one_or_none()
        return ReleaseRecord(*row) if row else None

    def get(self, release_id: int) -> ReleaseRecord | None:
        """The release with this id."""
        row = self._connection.execute(select(*COLUMNS).where(release.c.id == release_id)).first()
        return ReleaseRecord(*row) if row else None

    def versions(self, project: str) -> list[str]:
        """The project's versions, the oldest first."""
        query = select(release.c.version).where(release.c.project == project)
        return list(self._connection.execute(query.order_by(release.c.id)).scalars())

    def snapshot(self, release_id: int) -> dict[str, Any]:
        """The frozen document."""
        query = select(release.c.snapshot).where(release.c.id == release_id)
        document: dict[str, Any] = self._connection.execute(query).scalar_one()
        return document
