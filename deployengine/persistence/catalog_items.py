"""The applied catalog: one document per environment, machine, lifecycle, set and project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from deployengine.domain.errors import UnknownName, check_known
from deployengine.persistence.schema import catalog_item


class CatalogItems:
    """The catalog is replaced as a whole and read by kind, in its own order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every document by kind and name."""
        rows = self._connection.execute(select(catalog_item).order_by(catalog_item.c.position))
        return {(row.kind, row.name): row.document for row in rows}

    def names(self, kind: str) -> list[str]:
        """The names of one kind, in catalog order."""
        query = select(catalog_item.c.name).where(catalog_item.c.kind == kind)
        return list(self._connection.execute(query.order_by(catalog_item.c.position)).scalars())

    def documents(self, kind: str) -> list[dict[str, Any]]:
        """The documents of one kind, in catalog order."""
        query = select(catalog_item.c.document).where(catalog_item.c.kind == kind)
        return list(self._connection.execute(query.order_by(catalog_item.c.position)).scalars())

    def find(self, kind: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The documents of these names, those that exist."""
        query = select(catalog_item.c.name, catalog_item.c.document).where(
            catalog_item.c.kind == kind, catalog_item.c.name.in_(names)
        )
        return {row.name: row.document for row in self._connection.execute(query)}

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The document of this name; raises ``UnknownName``."""
        found = self.find(kind, [name])
        if name not in found:
            raise UnknownName(kind, name, self.names(kind))
        return found[name]

    def check(self, kind: str, name: str) -> None:
        """Raises ``UnknownName`` where there is nothing of this name."""
        check_known(kind, name, self.names(kind))

    def replace(self, items: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Stores ``(kind, name, document)`` in this order and nothing else."""
        self._connection.execute(delete(catalog_item))
        rows = [
            {"kind": kind, "name": name, "position": position, "document": document}
            for position, (kind, name, document) in enumerate(items)
        ]
        if rows:
            self._connection.execute(insert(catalog_item), rows)
