"""Recurrences: when a schedule comes next."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from deployengine.persistence.schema import recurrence


class Recurrences:
    """One row a schedule; each of its times is taken by one process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, tuple[str, datetime]]:
        """The rule of each, and when it comes next."""
        rows = self._connection.execute(select(recurrence))
        return {row.name: (row.rule, row.next_at) for row in rows}

    def add(self, name: str, rule: str, next_at: datetime) -> None:
        """A new one; raises ``Conflict`` when there is one of that name."""
        statement = insert(recurrence).values(name=name, rule=rule, next_at=next_at)
        self._connection.execute(statement)

    def move(self, name: str, before: datetime, rule: str, next_at: datetime) -> bool:
        """Moves one on; no, when somebody else has just done it."""
        statement = update(recurrence).where(
            recurrence.c.name == name, recurrence.c.next_at == before
        )
        values = {"rule": rule, "next_at": next_at}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def keep(self, names: Collection[str]) -> None:
        """Forgets all others."""
        self._connection.execute(delete(recurrence).where(recurrence.c.name.not_in(names)))
