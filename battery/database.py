"""The database under test: a SQLite file, or a PostgreSQL behind a proxy that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from battery.postgres_proxy import PostgresProxy
from benchmarks.evidence import rows
from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Database:
    """Where the engine finds it (``url``), and where the judge does (``direct``)."""

    kind: str
    home: Path
    url: str
    direct: str | None
    proxy: PostgresProxy | None = None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, past the engine and past the proxy."""
        return rows(self.home, self.direct, query)


@contextmanager
def sqlite(home: Path) -> Iterator[Database]:
    """The file in the home."""
    yield Database("sqlite", home, f"sqlite:///{home / 'deployengine.db'}", None)


@contextmanager
def postgres(home: Path, root: Path, server: PostgresServer) -> Iterator[Database]:
    """A new database on the server, behind a proxy of its own."""
    direct = server.create_database()
    name = direct.split("?")[0].rpartition("/")[2]
    proxy = PostgresProxy(root / "pg", server.folder)
    proxy.start()
    url = f"postgresql+psycopg://postgres@/{name}?host={quote(str(root / 'pg'))}"
    try:
        yield Database("postgresql", home, url, direct, proxy)
    finally:
        proxy.stop()
