"""Projects: those of today's catalog, each read once in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployengine.persistence import Transaction


class Projects:
    """Looks projects up; one that is not there any more says nothing."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._documents: dict[str, Mapping[str, Any]] = {}

    def read(self, names: Iterable[str]) -> None:
        """Reads in one go those that were not read before."""
        if unread := set(names) - self._documents.keys():
            found = self._tx.catalog.find("project", sorted(unread))
            self._documents |= {name: found.get(name, {}) for name in unread}

    def document(self, name: str) -> Mapping[str, Any]:
        """The project's document, or an empty one."""
        self.read([name])
        return self._documents[name]
