"""What a transaction promises: all or nothing, exact instants, and a plain word when it cannot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from deployengine.domain.errors import DeployEngineError, RequestError, Unreachable
from deployengine.persistence import Database, Transaction, sqlite_url
from deployengine.persistence.tables import prepare
from tests.persistence.conftest import (
    NOW,
    Interrupted,
    add_deployment,
    add_release,
    interrupt,
)
from tests.support.postgres import PostgresServer


def test_a_transaction_that_an_error_leaves_has_changed_nothing(database: Database) -> None:
    def much(tx: Transaction) -> None:
        add_deployment(tx, add_release(tx))
        tx.catalog.replace([("environment", "QA", {"name": "QA"})])
        interrupt()

    with pytest.raises(Interrupted), database.write() as tx:
        much(tx)
    with database.read() as tx:
        assert tx.releases.find("app", "1.0") is None
        assert tx.deployments.some() == []
        assert tx.catalog.all() == {}
        assert tx.counters.value("ticket") == 0


def test_what_a_transaction_has_not_committed_nobody_else_sees(database: Database) -> None:
    with database.write() as tx:
        add_release(tx)
        with database.read() as elsewhere:
            assert elsewhere.releases.find("app", "1.0") is None
    with database.read() as tx:
        assert tx.releases.find("app", "1.0") is not None


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(datetime(2025, 3, 1, 12, 0, 0, 123456, UTC), id="microseconds"),
        pytest.param(datetime(2025, 3, 1, 12, 0, 0, 1, UTC), id="one microsecond"),
        pytest.param(datetime(2025, 3, 1, 12, 0, 0, 0, UTC), id="a whole second"),
        pytest.param(
            datetime(2025, 3, 1, 0, 30, 0, 7, timezone(timedelta(hours=14))), id="another zone"
        ),
    ],
)
def test_an_instant_comes_back_as_the_same_instant_in_utc(
    database: Database, given: datetime
) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx), created_at=given)
    with database.read() as tx:
        found = tx.deployments.get(number)
    assert found is not None
    assert found.created_at == given
    assert found.created_at.utcoffset() == timedelta()
    assert found.created_at.microsecond == given.microsecond


def test_an_instant_without_a_zone_is_refused(database: Database) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="without a time zone"), database.write() as tx:
        add_deployment(tx, add_release(tx), created_at=naive)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://someone:hunter2@/shop?host={tmp_path}"
    database = Database(url)
    for attempt in (database.read, database.write):
        with pytest.raises(Unreachable) as told, attempt():
            pass
        assert told.value.exit_code == 3
        assert "hunter2" not in str(told.value)
        assert "someone" in str(told.value)
        assert "DEPLOYENGINE_DATABASE_URL" in str(told.value)
    with pytest.raises(Unreachable) as told:
        prepare(database)
    assert "hunter2" not in str(told.value)


def test_a_connection_that_the_server_cuts_is_told_and_the_next_one_works(
    postgres_server: PostgresServer,
) -> None:
    database = Database(postgres_server.create_database())
    prepare(database)

    def talk(tx: Transaction) -> None:
        add_release(tx)
        _cut_all(postgres_server, database.url)
        tx.releases.versions("app")

    with pytest.raises(Unreachable), database.write() as tx:
        talk(tx)
    with database.write() as tx:
        assert tx.releases.versions("app") == []
    database.close()


def _cut_all(server: PostgresServer, url: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    with server.connect("postgres") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )


def test_a_file_that_cannot_be_opened_is_told_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "a-folder"
    folder.mkdir()
    with pytest.raises(Unreachable, match="a-folder"):
        prepare(Database(sqlite_url(folder)))


def test_a_folder_that_cannot_be_made_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(DeployEngineError, match="a-file"):
        prepare(Database(sqlite_url(tmp_path / "a-file" / "deployengine.db")))


def test_a_file_that_is_no_database_is_told_plainly(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, " * 500)
    with pytest.raises(DeployEngineError, match=r"letter\.db"):
        prepare(Database(sqlite_url(path)))


@pytest.mark.parametrize("url", ["nonsense", "nodialect://somewhere/name", ""])
def test_a_url_that_no_driver_takes_is_a_wrong_request(url: str) -> None:
    with pytest.raises(RequestError, match="DEPLOYENGINE_DATABASE_URL"):
        Database(url)


def test_two_processes_may_write_to_one_file_in_turn(tmp_path: Path) -> None:
    first, second = (Database(sqlite_url(tmp_path / "shared.db")) for _ in range(2))
    prepare(first)
    for number, database in enumerate((first, second, first, second)):
        with database.write() as tx:
            add_release(tx, version=f"1.{number}")
    with first.read() as tx:
        assert tx.releases.versions("app") == ["1.0", "1.1", "1.2", "1.3"]
    first.close()
    second.close()


def test_the_embedded_database_lets_readers_read_while_somebody_writes(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "wal.db"))
    prepare(database)
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    database.close()


def test_two_changes_that_wait_for_each_other_one_is_taken_back_and_told_to_try_again(
    database: Database,
) -> None:
    with database.write() as tx:
        numbers = [add_deployment(tx, add_release(tx, version=v)) for v in ("1", "2")]
    met = threading.Barrier(2)

    def change(first: int, second: int) -> str:
        try:
            with database.write() as tx:
                tx.deployments.locked(first)
                if not database.is_sqlite:  # where the second one waits for the first one to end
                    met.wait(30)
                tx.deployments.locked(second)
        except Unreachable as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(change, numbers, reversed(numbers)))
    taken_back = "another change met this one in the database; nothing was changed: try again"
    assert said == (["done", "done"] if database.is_sqlite else [taken_back, "done"])
