"""Databases with the tables of this program, copied where a test needs one.

To make the tables takes longer than most tests; those of migrations begin with an empty database.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from deployengine.persistence import Database, sqlite_url
from deployengine.persistence.tables import prepare
from tests.support.postgres import PostgresServer


def lay_database(path: Path) -> None:
    """A SQLite file with all tables and nothing in them, unless there is one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_made(), path)


@cache
def tables_of(server: PostgresServer) -> str:
    """The name of a database there with all tables and nothing in them, to be copied."""
    database = Database(server.create_database())
    prepare(database)
    name = database.engine.url.database
    database.close()
    assert name is not None
    return name


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="de-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(sqlite_url(folder / "made.db"))
    prepare(database)
    database.close()
    return folder / "made.db"
