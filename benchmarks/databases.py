"""A database of its own for each run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text


@contextmanager
def own_database(server: str | None) -> Iterator[str | None]:
    """The URL of a new database on that PostgreSQL server, dropped at the end.

    Without a server there is none: the engine then keeps a SQLite file in its home.
    """
    if server is None:
        yield None
        return
    name = f"deployengine_benchmark_{uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"create database {name}"))
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"drop database {name} with (force)"))
    finally:
        engine.dispose()
