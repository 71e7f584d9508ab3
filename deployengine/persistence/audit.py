"""The audit trail: entries are added and read, and never changed."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    String,
    Text,
    cast,
    func,
    insert,
    select,
    type_coerce,
)

from deployengine.domain.audit import GENESIS, Entry, Event, entries
from deployengine.persistence.schema import audit_event

#: Who appends waits for whoever is doing so; any number will do that is not used for more.
_LOCK = select(func.pg_advisory_xact_lock(0x6175646974))

_LAST = select(audit_event.c.id, audit_event.c.hash).order_by(audit_event.c.id.desc()).limit(1)

#: As they are stored: what somebody has put there may be no instant and no document.
_COLUMNS = (
    audit_event.c.id,
    type_coerce(audit_event.c.at, String).label("at"),
    audit_event.c.who,
    audit_event.c.action,
    audit_event.c.subject,
    audit_event.c.reason,
    cast(audit_event.c.before, Text).label("before"),
    cast(audit_event.c.after, Text).label("after"),
    audit_event.c.hash,
)


class Audit:
    """The trail, and the events that this transaction adds to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._new: list[Event] = []

    def add(self, event: Event) -> None:
        """Puts an event on record with the transaction, whatever else it may still do."""
        self._new.append(event)

    def append(self) -> None:
        """Writes what was added; called once, at the transaction's end.

        Until it is committed nobody else appends, which keeps the chain in one line. No other lock
        is asked for after this one, so that it can be in no circle.
        """
        if not self._new:
            return
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_LOCK)
        last, head = self._connection.execute(_LAST).one_or_none() or (0, GENESIS)
        rows = [
            {
                "id": entry.id,
                "at": entry.event.at,
                "who": entry.event.who,
                "action": entry.event.action,
                "subject": entry.event.subject,
                "reason": entry.event.reason,
                "before": entry.event.before,
                "after": entry.event.after,
                "hash": entry.hash,
            }
            for entry in entries(self._new, last, head)
            if entry.event is not None
        ]
        self._connection.execute(insert(audit_event), rows)
        self._new.clear()

    def get(self, number: int) -> Entry | None:
        """The entry with this number."""
        row = self._connection.execute(
            select(*_COLUMNS).where(audit_event.c.id == number)
        ).one_or_none()
        return _entry(row) if row else None

    def after(self, number: int | None, limit: int) -> list[Entry]:
        """At most so many entries with higher numbers, in order; after ``None`` come all."""
        query = select(*_COLUMNS).order_by(audit_event.c.id).limit(limit)
        if number is not None:
            query = query.where(audit_event.c.id > number)
        return self._list(query)

    def latest(
        self,
        limit: int,
        subjects: Collection[str] | None = None,
        who: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
    ) -> list[Entry]:
        """At most so many entries that match, the latest first."""
        query = select(*_COLUMNS).order_by(audit_event.c.id.desc()).limit(limit)
        if subjects is not None:
            query = query.where(audit_event.c.subject.in_(subjects))
        for column, value in (
            (audit_event.c.who, who),
            (audit_event.c.action, action),
        ):
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(audit_event.c.at >= since)
        return self._list(query)

    def subjects(self) -> list[str]:
        """Everything that an entry is about, each once."""
        query = select(audit_event.c.subject).distinct()
        return sorted(self._connection.execute(query).scalars())

    def _list(self, query: Select[Any]) -> list[Entry]:
        return [_entry(row) for row in self._connection.execute(query)]


def _entry(row: Row[Any]) -> Entry:
    try:
        event = Event(
            _instant(row.at),
            _text(row.who),
            _text(row.action),
            _text(row.subject),
            None if row.reason is None else _text(row.reason),
            _document(row.before),
            _document(row.after),
        )
    except (ValueError, TypeError):
        return Entry(row.id, None, row.hash)
    return Entry(row.id, event, row.hash)


def _text(stored: object) -> str:
    """SQLite keeps anything in any column."""
    if not isinstance(stored, str):
        raise TypeError(stored)
    return stored


def _instant(stored: str | datetime) -> datetime:
    """PostgreSQL's is one; SQLite's is a text in UTC."""
    if isinstance(stored, datetime):
        return stored
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


def _document(stored: str | None) -> Any:
    return None if stored is None else json.loads(stored)
