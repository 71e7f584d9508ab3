"""Releases, and the snapshots of what they froze, which are inserted once and never updated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from deployengine.domain.release import Snapshot
from deployengine.persistence.records import ReleaseRecord, release_record
from deployengine.persistence.schema import release, snapshot

COLUMNS = (
    release.c.id,
    release.c.project,
    release.c.version,
    release.c.channel,
    release.c.digest,
    release.c.snapshot_id,
    release.c.created_at,
    release.c.blocked_at,
    release.c.blocked_by,
    release.c.blocked_reason,
)


class Releases:
    """Releases by id and by project and version."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, frozen: Snapshot, now: datetime) -> ReleaseRecord:
        """Stores a new release."""
        statement = insert(release).values(
            project=frozen.project,
            version=frozen.version,
            channel=frozen.channel,
            digest=frozen.digest,
            snapshot_id=self._freeze(frozen),
            created_at=now,
        )
        row = self._connection.execute(statement.returning(*COLUMNS)).one()
        return release_record(row)

    def find(self, project: str, version: str) -> ReleaseRecord | None:
        """The project's release of this version."""
        query = select(*COLUMNS).where(release.c.project == project, release.c.version == version)
        row = self._connection.execute(query).one_or_none()
        return release_record(row) if row else None

    def some(self, project: str | None = None, limit: int | None = None) -> list[ReleaseRecord]:
        """Those of a project, or of all, the newest first."""
        query = select(*COLUMNS).order_by(release.c.id.desc()).limit(limit)
        if project is not None:
            query = query.where(release.c.project == project)
        return [release_record(row) for row in self._connection.execute(query)]

    def get(self, release_id: int) -> ReleaseRecord | None:
        """The release with this id."""
        row = self._connection.execute(select(*COLUMNS).where(release.c.id == release_id)).first()
        return release_record(row) if row else None

    def lock(self, release_id: int) -> None:
        """Holds the release's row to the end of the transaction."""
        query = select(release.c.id).where(release.c.id == release_id)
        # Not as if it were to be removed: a new deployment of it may be stored meanwhile.
        self._connection.execute(query.with_for_update(key_share=True))

    def versions(self, project: str) -> list[str]:
        """The project's versions, the oldest first."""
        query = select(release.c.version).where(release.c.project == project)
        return list(self._connection.execute(query.order_by(release.c.id)).scalars())

    def refresh(self, release_id: int, frozen: Snapshot) -> None:
        """Gives the release another snapshot; deployments that there are keep theirs."""
        values = {"digest": frozen.digest, "snapshot_id": self._freeze(frozen)}
        self._connection.execute(update(release).where(release.c.id == release_id).values(**values))

    def block(self, release_id: int, who: str, reason: str, now: datetime) -> bool:
        """Keeps the release from going further; whether this call did it."""
        statement = update(release).where(
            release.c.id == release_id, release.c.blocked_at.is_(None)
        )
        values = {"blocked_at": now, "blocked_by": who, "blocked_reason": reason}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def unblock(self, release_id: int) -> bool:
        """Lets it go on; whether this call did it."""
        statement = update(release).where(
            release.c.id == release_id, release.c.blocked_at.is_not(None)
        )
        values = {"blocked_at": None, "blocked_by": None, "blocked_reason": None}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def snapshot(self, snapshot_id: int) -> dict[str, Any]:
        """A frozen document."""
        query = select(snapshot.c.document).where(snapshot.c.id == snapshot_id)
        document: dict[str, Any] = self._connection.execute(query).scalar_one()
        return document

    def _freeze(self, frozen: Snapshot) -> int:
        statement = insert(snapshot).values(digest=frozen.digest, document=dict(frozen.document))
        return int(self._connection.execute(statement.returning(snapshot.c.id)).scalar_one())
