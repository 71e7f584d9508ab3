"""The tables: how they come to be those of this program, and who is told when they are not."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from deployengine.persistence import Database, migrate, sqlite_url
from deployengine.persistence.counters import FENCE, NAMES
from deployengine.persistence.migrate import OutOfDate, current, newest, upgrade
from deployengine.persistence.schema import metadata
from deployengine.persistence.tables import NEWEST, prepare
from tests.support.postgres import PostgresServer


def revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return current(connection)


def take_back(database: Database) -> None:
    """To the state before the first revision, as an older program would have left it."""
    config = Config()
    folder = Path(migrate.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")


def prepare_in_process(url: str, barrier: object) -> None:
    barrier.wait(60)  # type: ignore[attr-defined]
    database = Database(url)
    prepare(database)
    database.close()


def test_the_newest_revision_is_that_of_the_last_migration() -> None:
    assert newest() == NEWEST


def test_an_empty_database_gets_the_tables_and_the_counters(empty_url: str) -> None:
    database = Database(empty_url)
    prepare(database)
    assert revision(database) == newest() is not None
    with database.read() as tx:
        values = {name: tx.counters.value(name) for name in NAMES}
    # Machines may remember the fences of a database before this one: it begins above them.
    assert values.pop(FENCE) >= 1_700_000_000
    assert set(values.values()) == {0}
    database.close()


def test_the_migrated_tables_are_those_that_the_schema_describes(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_preparing_again_changes_nothing(database: Database) -> None:
    with database.write() as tx:
        tx.counters.draw(NAMES[0], 7)
    prepare(database)
    with database.read() as tx:
        assert tx.counters.value(NAMES[0]) == 7


def test_three_processes_that_begin_at_once_all_find_the_tables_ready(empty_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    processes = [
        spawn.Process(target=prepare_in_process, args=(empty_url, barrier)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    database = Database(empty_url)
    assert revision(database) == newest()
    with database.read() as tx:
        assert tx.counters.value(NAMES[0]) == 0
    database.close()


def test_an_embedded_database_that_is_behind_brings_itself_up_to_date(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "old.db"))
    prepare(database)
    take_back(database)
    assert revision(database) is None
    prepare(database)
    assert revision(database) == newest()
    database.close()


def test_a_shared_database_that_is_behind_is_left_alone_until_somebody_upgrades_it(
    postgres_server: PostgresServer,
) -> None:
    database = Database(postgres_server.create_database())
    prepare(database)
    take_back(database)
    with pytest.raises(OutOfDate, match="deployengine database upgrade") as refused:
        prepare(database)
    assert refused.value.exit_code == 3
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    upgrade(database)
    prepare(database)
    assert revision(database) == newest()
    database.close()


def test_a_database_of_a_newer_program_is_refused_by_name_and_left_alone(
    database: Database,
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_tomorrow'"))
    with pytest.raises(OutOfDate):
        prepare(database)
    assert revision(database) == "from_tomorrow"


def test_upgrading_a_database_of_a_newer_program_is_refused_by_name(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_tomorrow'"))
    with pytest.raises(OutOfDate):
        upgrade(database)
