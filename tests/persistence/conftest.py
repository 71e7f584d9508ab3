"""Each test here runs over a SQLite file and over PostgreSQL, unless it is about one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from deployengine.domain.release import Snapshot
from deployengine.persistence import Database, Transaction, sqlite_url
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import NewDeployment
from tests.support.databases import lay_database, tables_of
from tests.support.fences import from_zero
from tests.support.postgres import PostgresServer

T = TypeVar("T")

NOW = datetime(2025, 3, 1, 12, 0, 0, 123456, UTC)
DIGEST = "0" * 64


class Interrupted(Exception):
    """What a transaction is left by in these tests."""


def interrupt(*_done: object) -> None:
    """Leaves the transaction after what was done in it."""
    raise Interrupted


def later(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "deployengine.db")
    made: str = request.getfixturevalue("postgres_server").create_database()
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the tables of this program."""
    if request.param == "sqlite":
        lay_database(tmp_path / "deployengine.db")
        return sqlite_url(tmp_path / "deployengine.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database(like=tables_of(server))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with the tables of this program."""
    database = Database(url)
    from_zero(database)
    yield database
    database.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    """A SQLite file with the tables of this program."""
    lay_database(tmp_path / "embedded.db")
    database = Database(sqlite_url(tmp_path / "embedded.db"))
    yield database
    database.close()


def add_release(tx: Transaction, project: str = "app", version: str = "1.0") -> int:
    """A stored release."""
    document = {"project": project, "version": version, "channel": None}
    return tx.releases.add(Snapshot(document), NOW).id


def add_deployment(
    tx: Transaction,
    release_id: int,
    environment: str = "QA",
    *,
    automatic: bool = False,
    created_at: datetime = NOW,
) -> int:
    """A queued deployment of the release."""
    release = tx.releases.get(release_id)
    assert release is not None
    new = NewDeployment(
        release_id=release_id,
        snapshot_id=release.snapshot_id,
        project=release.project,
        version=release.version,
        environment=environment,
        phase=environment,
        automatic=automatic,
        plan={"tag": f"{release.project}/{environment}", "steps": []},
    )
    return tx.deployments.add(new, tx.counters.draw(TICKET), created_at)


def drawn(tx: Transaction, many: int = 1) -> range:
    """So many tickets, in order."""
    first = tx.counters.draw(TICKET, many)
    return range(first, first + many)


def add_step(tx: Transaction, machines: Sequence[str] = ("m-1",)) -> int:
    """A running deployment whose only step is open on these machines, its runs waiting."""
    deployment = add_deployment(tx, add_release(tx))
    tx.steps.add(deployment, ["Install"])
    tx.runs.add(deployment, 0, [(name, "exclusive") for name in machines])
    tx.deployments.begin(deployment, NOW)
    tx.steps.open(deployment, 0, len(machines))
    tx.runs.make_ready(deployment, 0, drawn(tx, len(machines)), NOW)
    return deployment


def at_once(callers: int, act: Callable[[], T]) -> list[T]:
    """What so many threads got that did the same at the same time."""
    barrier = threading.Barrier(callers)

    def wait_and_act() -> T:
        barrier.wait(30)
        return act()

    with ThreadPoolExecutor(callers) as pool:
        futures = [pool.submit(wait_and_act) for _ in range(callers)]
        return [future.result() for future in futures]
