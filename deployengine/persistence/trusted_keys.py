"""Host keys that somebody has looked at and trusts."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, delete, select

from deployengine.persistence.inserting import insert_new
from deployengine.persistence.records import TrustedKey
from deployengine.persistence.schema import trusted_key


class TrustedKeys:
    """By machine and fingerprint."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: TrustedKey) -> bool:
        """Trusts a key; no, when it is trusted already."""
        insert = insert_new(self._connection, trusted_key).returning(trusted_key.c.machine)
        return self._connection.execute(insert, asdict(key)).first() is not None

    def of(self, machine: str) -> list[TrustedKey]:
        """The keys of one machine, the first that was trusted first."""
        query = select(trusted_key).where(trusted_key.c.machine == machine)
        order = (trusted_key.c.trusted_at, trusted_key.c.fingerprint)
        rows = self._connection.execute(query.order_by(*order))
        return [TrustedKey(**row._asdict()) for row in rows]

    def drop(self, machine: str, fingerprint: str | None = None) -> int:
        """Trusts one key of a machine no more, or none of its keys; how many were trusted."""
        statement = delete(trusted_key).where(trusted_key.c.machine == machine)
        if fingerprint is not None:
            statement = statement.where(trusted_key.c.fingerprint == fingerprint)
        return self._connection.execute(statement).rowcount
