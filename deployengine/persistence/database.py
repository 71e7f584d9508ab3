"""The database: one engine, read and write transactions, SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from deployengine import failpoints
from deployengine.domain.errors import RequestError, Unreachable
from deployengine.persistence.transaction import Transaction

#: How long a SQLite writer waits for another process's transaction, in milliseconds.
BUSY_TIMEOUT_MS = 30_000

#: How soon a PostgreSQL that has vanished counts as away (libpq's own would take hours): seconds,
#: the last one milliseconds. What the URL says comes first.
SOON = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

#: What PostgreSQL calls a deadlock, and an order that it cannot keep.
_MET_ANOTHER = ("40P01", "40001")


class Conflict(Exception):
    """Another transaction stored the same thing first; a second try will find it."""


class ChangesMet(Unreachable):
    """Two transactions waited for each other, and the database took this one back whole.

    Whoever repeats what cannot be reached repeats this as well.
    """

    def __init__(self, where: str) -> None:
        super().__init__("the database", where)
        self.args = (where,)

    def __str__(self) -> str:
        return "another change met this one in the database; nothing was changed: try again"


class Database:
    """Opens transactions; a connection is held only inside one, never while a script runs.

    On SQLite a write takes the write lock at its beginning (a deferred one could fail half way),
    and the threads of a process queue for it here instead of in SQLite's sleeping retries.
    """

    def __init__(self, url: str, patience: float = 10.0) -> None:
        """``patience``: seconds that PostgreSQL bears an open transaction of a process that does
        nothing in it, as it was stopped or cut off; then the others may go on.
        """
        self.url = url
        self._engine = _engine(url, patience)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._writer = threading.Lock()

    @property
    def engine(self) -> Engine:
        """For who must look at the tables themselves, past the repositories."""
        return self._engine

    @contextmanager
    def write(self, name: str | None = None) -> Iterator[Transaction]:
        """A transaction that is committed as a whole, or rolled back when an error leaves it.

        The last that it does is to write what was put on record in it. ``name`` is that of its
        failpoints: the engine names each of its transactions.
        """
        with self._committed() as connection:
            tx = Transaction(connection)
            yield tx
            tx.audit.append()
            if name is not None:
                failpoints.hit(f"sql.{name}.before")
        if name is not None:
            failpoints.hit(f"sql.{name}.after")

    @contextmanager
    def _committed(self) -> Iterator[Connection]:
        if self.is_sqlite:
            with self._writer, self._begin("BEGIN IMMEDIATE") as connection:
                yield connection
        else:
            with self._begin("BEGIN") as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction for reading."""
        with self._begin("BEGIN") as connection:
            yield Transaction(connection)

    @contextmanager
    def connected(self, begin: str = "BEGIN") -> Iterator[Connection]:
        """A connection whose transactions begin with this statement on SQLite; for migrations."""
        try:
            connection = self._engine.connect()
        except (DBAPIError, PoolTimeout) as error:
            raise self._unreachable(error) from error
        with connection:
            connection.info["begin"] = begin
            try:
                yield connection
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) in _MET_ANOTHER:
                    raise ChangesMet(self._shown_url) from error
                raise self._unreachable(error) from error
            except IntegrityError as error:
                raise Conflict(str(error.orig)) from error
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise self._unreachable(error) from error
                raise

    @contextmanager
    def _begin(self, statement: str) -> Iterator[Connection]:
        with self.connected(statement) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Closes the pooled connections."""
        self._engine.dispose()

    @property
    def _shown_url(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def _unreachable(self, error: Exception) -> Unreachable:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        return Unreachable(
            "the database",
            self._shown_url,
            f"{lines[0] if lines else error}; check DEPLOYENGINE_DATABASE_URL and that it runs",
        )


def sqlite_url(path: Path) -> str:
    """The URL of the embedded database in this file."""
    return f"sqlite:///{path}"


def _engine(url: str, patience: float) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, pool_size=8, max_overflow=-1)
            _configure_sqlite(engine)
            return engine
        soon = {k: v for k, v in SOON.items() if k not in parsed.query}
        engine = create_engine(
            parsed, pool_size=8, max_overflow=32, pool_pre_ping=True, connect_args=soon
        )
        _configure_postgres(engine, patience)
        return engine
    except OSError as error:
        place = f"{error.filename}: {error.strerror}"
        raise RequestError(
            f"the database's folder cannot be made: {place}", None, "set DEPLOYENGINE_HOME"
        ) from error
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise RequestError(
            f"DEPLOYENGINE_DATABASE_URL cannot be used ({error}): write "
            "postgresql+psycopg://user@host/name (needs the extra 'postgres') or sqlite:///file"
        ) from error


def _write_ahead(cursor: Any) -> None:
    """Turns the log on; of two processes that do so at once SQLite refuses one without waiting."""
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        _write_ahead(cursor)
        # NORMAL may lose the last commits when the host itself loses power, never when a process
        # dies; a claim lost that way is found again by the ticket on the machine.
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))


def _configure_postgres(engine: Engine, patience: float) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # Rows that a stopped process has locked would stop every other one as well.
        limit = f"SET idle_in_transaction_session_timeout = {int(patience * 1000)}"
        with connection.cursor() as cursor:
            cursor.execute(limit)
        connection.commit()
