"""Fences for tests: small numbers, which a test can name."""

from __future__ import annotations

from sqlalchemy import text

from deployengine.persistence import Database


def from_zero(database: Database) -> None:
    """Lets the fences of a new database begin at 1, not at the time of day."""
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE counter SET value = 0 WHERE name = 'fence' AND value > 1000000")
        )
