"""Migrations: the embedded database brings itself up to date, a shared one is told to be."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from deployengine.domain.errors import DeployEngineError
from deployengine.persistence.database import Database

_LOCK = 0x6465706C6F79  # any number will do, as long as all who migrate use the same


class OutOfDate(DeployEngineError):
    """The database's tables are older or newer than this program."""

    exit_code = 3


def prepare(database: Database) -> None:
    """Makes sure that the tables are those of this program.

    The embedded database is migrated, and an empty shared one is filled. A shared one that is in
    use is never migrated unasked: raises :class:`OutOfDate`, or ``Unreachable``.
    """
    with _connected(database) as connection:
        if current(connection) == newest():
            return
        empty = not inspect(connection).get_table_names()
    if database.is_sqlite or empty:
        upgrade(database)
        return
    raise OutOfDate(
        "the database is not at this program's version; stop the workers and run "
        "`deployengine database upgrade`"
    )


def upgrade(database: Database) -> None:
    """Brings the tables up to date; several at once wait for each other."""
    with _connected(database) as connection, connection.begin():
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if current(connection) != newest():
            command.upgrade(_config(connection), "head")


def current(connection: Connection) -> str | None:
    """The revision that the tables are at; ``None`` for none."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision that this program needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _connected(database: Database) -> Connection:
    try:
        connection = database.engine.connect()
    except OperationalError as error:
        raise database.unreachable(error) from error
    # For SQLite: who migrates takes the write lock first, so that two cannot both begin.
    connection.info["begin"] = "BEGIN IMMEDIATE"
    return connection
