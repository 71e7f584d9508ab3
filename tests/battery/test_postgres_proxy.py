"""The proxy: it relays as if it were not there, and cuts exactly where it was told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from battery.faults.database_faults import CommitCut, ConnectionCut, StatementCut
from battery.postgres_proxy import PostgresProxy
from tests.support.postgres import PostgresServer, private_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_postgres() as running:
        with running.connect("postgres") as connection:
            connection.execute("create table seen (n int)")
        yield running


@pytest.fixture
def proxy(server: PostgresServer, tmp_path: Path) -> Iterator[PostgresProxy]:
    with server.connect("postgres") as connection:
        connection.execute("truncate seen")
    between = PostgresProxy(tmp_path, server.folder)
    between.start()
    yield between
    between.stop()


def connected(folder: Path) -> psycopg.Connection:
    return psycopg.connect(host=str(folder), user="postgres", dbname="postgres")


def seen(server: PostgresServer) -> list[int]:
    with server.connect("postgres") as connection:
        return [row[0] for row in connection.execute("select n from seen order by n")]


def test_what_is_asked_through_it_is_answered(proxy: PostgresProxy, tmp_path: Path) -> None:
    with connected(tmp_path) as connection:
        row = connection.execute("select %s::int + 1", (41,)).fetchone()

    assert row == (42,)


def test_a_statement_that_is_cut_never_reaches_the_server(
    proxy: PostgresProxy, server: PostgresServer, tmp_path: Path
) -> None:
    connection = connected(tmp_path)
    proxy.cut_message(1)

    with pytest.raises(psycopg.OperationalError):
        connection.execute("insert into seen values (1)")

    assert (proxy.cuts, seen(server)) == (1, [])


def test_a_commit_that_is_cut_was_carried_out_all_the_same(
    proxy: PostgresProxy, server: PostgresServer, tmp_path: Path
) -> None:
    connection = connected(tmp_path)
    connection.execute("insert into seen values (1)")
    proxy.cut_commit()

    with pytest.raises(psycopg.OperationalError):
        connection.commit()

    assert (proxy.cuts, seen(server)) == (1, [1])


def test_a_server_that_is_away_can_be_reached_when_it_is_back(
    proxy: PostgresProxy, tmp_path: Path
) -> None:
    connection = connected(tmp_path)
    proxy.away()

    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        connected(tmp_path)

    proxy.back()
    with connected(tmp_path) as again:
        assert again.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("kind", [StatementCut, CommitCut])
def test_a_cut_counts_only_if_it_was_made(
    proxy: PostgresProxy, tmp_path: Path, kind: type[ConnectionCut]
) -> None:
    connection = connected(tmp_path)
    fault = kind(1, 1.0)
    fault.harm(proxy)
    without_traffic = fault.mend(proxy)
    connection.execute("select 1")
    fault.harm(proxy)
    with pytest.raises(psycopg.OperationalError):
        connection.commit()

    assert (without_traffic, fault.mend(proxy)) == (False, True)
