"""Wherever sealed values are stored: found in every column that holds documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, Table, Text, cast, select, tuple_, update

from deployengine.persistence.schema import audit_event, metadata


@dataclass(frozen=True, slots=True)
class Place:
    """A column that may hold documents with sealed values."""

    table: Table
    column: Column[Any]

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A row with sealed values in a document, by its primary key."""

    key: tuple[Any, ...]
    document: Any


#: What is on record for good holds none: it could not be sealed anew without breaking its chain.
PLACES = tuple(
    Place(table, column)
    for table in metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, JSON) and table is not audit_event
)


class SealedValues:
    """Rows with sealed values, a few at a time, in the order of their keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def holders(
        self, place: Place, after: Sequence[Any], limit: int, *, lock: bool = False
    ) -> list[Holder]:
        """At most so many rows whose key comes after this one; after ``()`` come all.

        With ``lock`` nobody else can change them in this transaction; those that somebody else is
        changing are left out.
        """
        key = list(place.table.primary_key.columns)
        query = select(place.column, *key).where(cast(place.column, Text).like('%"cipher"%'))
        if after:
            query = query.where(tuple_(*key) > tuple_(*after))
        if lock:
            query = query.with_for_update(skip_locked=True)
        rows = self._connection.execute(query.order_by(*key).limit(limit))
        return [Holder(tuple(row[1:]), row[0]) for row in rows]

    def replace(self, place: Place, key: Sequence[Any], document: Any) -> None:
        """Stores another document in that row."""
        columns = place.table.primary_key.columns
        statement = update(place.table).values({place.column.name: document})
        for column, value in zip(columns, key, strict=True):
            statement = statement.where(column == value)
        self._connection.execute(statement)
