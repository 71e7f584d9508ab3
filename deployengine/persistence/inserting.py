"""Inserting a row where there may be one of its key already, on either database."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert

#: Statements as only the dialects have them; to both databases they mean the same.
_INSERT: Mapping[str, Callable[[Table], Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_new(connection: Connection, table: Table) -> Insert:
    """Inserts a row; what is there of its key stays as it is."""
    return _INSERT[connection.dialect.name](table).on_conflict_do_nothing()
