"""What the engine keeps for itself beside the catalog: small documents by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from deployengine.persistence.inserting import insert_new
from deployengine.persistence.schema import setting_value

#: The key of the fingerprints by which sealed values are compared, itself sealed.
FINGERPRINT_KEY = "fingerprint_key"


class SettingValues:
    """Documents by name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> dict[str, Any] | None:
        """The document of this name."""
        query = select(setting_value.c.value).where(setting_value.c.name == name)
        value: dict[str, Any] | None = self._connection.execute(query).scalar_one_or_none()
        return value

    def keep(self, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """Stores the document unless there is one of this name; returns the one that is there."""
        row = {"name": name, "value": dict(value)}
        self._connection.execute(insert_new(self._connection, setting_value), row)
        kept = self.get(name)
        assert kept is not None
        return kept
