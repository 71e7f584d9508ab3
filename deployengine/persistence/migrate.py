"""Migrations: the embedded database brings itself up to date, a shared one is told to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from deployengine.domain.errors import DeployEngineError
from deployengine.persistence.database import Database

_LOCK = 0x6465706C6F79  # any number will do, as long as all who migrate use the same


class OutOfDate(DeployEngineError):
    """The database's tables are older or newer than this program."""

    exit_code = 3


def bring_up_to_date(database: Database) -> None:
    """As :func:`~deployengine.persistence.tables.prepare` says, for one that is not."""
    with database.connected() as connection:
        # Looked at first: another process may be filling an empty database right now.
        empty = not inspect(connection).get_table_names()
        if current(connection) == newest():
            return
        _refuse_newer(connection)
    if database.is_sqlite or empty:
        upgrade(database)
        return
    raise OutOfDate(
        "the database is older than this program; stop the workers and run "
        "`deployengine database upgrade`"
    )


def upgrade(database: Database) -> None:
    """Brings the tables up to date; several at once wait for each other.

    Raises :class:`OutOfDate` when they are those of a newer program.
    """
    # On SQLite who migrates takes the write lock first, so that two cannot both begin.
    with database.connected("BEGIN IMMEDIATE") as connection, _alterable(connection):
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_newer(connection)
        if current(connection) != newest():
            command.upgrade(_config(connection), "head")


@contextmanager
def _alterable(connection: Connection) -> Iterator[None]:
    """A transaction in which tables may be changed that others refer to.

    SQLite changes one by making it anew, and would take the old one's end for that of its rows.
    """
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        _pragma(connection, "foreign_keys = OFF")
    try:
        with connection.begin():
            yield
            if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise AssertionError("a migration left rows that refer to nothing")
    finally:
        if sqlite:
            _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, text: str) -> None:
    """Outside of transactions, where alone it has an effect."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA {text}")


def _refuse_newer(connection: Connection) -> None:
    found = current(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise OutOfDate(
            f"the database is at revision {found}, which a newer deployengine made; "
            "install that version or a later one"
        )


def current(connection: Connection) -> str | None:
    """The revision that the tables are at; ``None`` for none."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision that this program needs."""
    return _scripts().get_current_head()


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
