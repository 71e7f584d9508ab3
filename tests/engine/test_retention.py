"""What lifecycles do not keep goes for good, bit by bit, whoever works and is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from deployengine.domain.audit import Action, verify
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.release import Snapshot
from deployengine.engine.again import NoPredecessor
from deployengine.engine.batches import Row
from deployengine.engine.clock import SystemClock
from deployengine.engine.intake import PLAIN
from deployengine.engine.releases import Wanted
from deployengine.engine.retention import ROWS, Due, Removed, Retention
from deployengine.persistence import Database, Transaction, sqlite_url
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import NewDeployment
from deployengine.persistence.schema import (
    deployment,
    metadata,
    release,
    snapshot,
    step_run,
)
from deployengine.persistence.tables import prepare
from tests.acceptance.catalogs import catalog, machine, project
from tests.support.fakes import FragileDatabase, House

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
RUNS = 2
PIECES = 3


class Interrupted(Exception):
    """What retention is ended by in these tests."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "deployengine.db")
    else:
        url = request.getfixturevalue("postgres_server").create_database()
    database = Database(url)
    prepare(database)
    yield database
    database.close()


def keep(database: Database, schedules: Sequence[Mapping[str, Any]] = (), **rule: int) -> None:
    """A catalog with the projects a and b, whose environments keep so many releases."""
    phases = [
        {"name": name, "manual": [name], "keep_releases": rule.get(name)}
        for name in ("QA", "Production")
    ]
    items = [
        *(("environment", name, {"name": name}) for name in ("QA", "Production")),
        ("lifecycle", "auto", {"name": "auto", "phases": phases}),
        *(("project", name, {"name": name, "lifecycle": "auto"}) for name in ("a", "b")),
        *(("schedule", each["name"], each) for each in schedules),
    ]
    with database.write() as tx:
        tx.catalog.replace(items)


def add_release(tx: Transaction, version: object, project: str = "a") -> int:
    frozen = Snapshot({"project": project, "version": str(version), "channel": None})
    return tx.releases.add(frozen, NOW).id


def deploy(
    database: Database,
    version: object,
    environment: str = "QA",
    state: DeploymentState = DeploymentState.SUCCEEDED,
    project: str = "a",
) -> int:
    """A deployment of the release, which is made if it is not there, with runs and their logs."""
    with database.write() as tx:
        found = tx.releases.find(project, str(version))
        number = _deploy(tx, found.id if found else add_release(tx, version, project), environment)
    values = {"state": state, "finished_at": NOW if state.final else None}
    with database.engine.begin() as connection:
        connection.execute(update(deployment).where(deployment.c.id == number).values(**values))
        connection.execute(update(step_run).values(state=RunState.SUCCEEDED, finished_at=NOW))
    return number


def _deploy(tx: Transaction, release_id: int, environment: str) -> int:
    found = tx.releases.get(release_id)
    assert found is not None
    new = NewDeployment(
        release_id=release_id,
        snapshot_id=found.snapshot_id,
        project=found.project,
        version=found.version,
        environment=environment,
        phase=environment,
        automatic=False,
        plan={"tag": f"{found.project}/{environment}", "steps": []},
    )
    number = tx.deployments.add(new, tx.counters.draw(TICKET), NOW)
    tx.steps.add(number, ["Install"])
    tx.runs.add(number, 0, [(f"m-{n}", "exclusive") for n in range(RUNS)])
    for run in tx.runs.of_deployment(number):
        for start in range(PIECES):
            tx.outputs.append(run.id, start, start + 1, "x")
    return number


def retention(database: Database, rows: int = ROWS) -> Retention:
    return Retention(database, SystemClock(), rows, breath=0)


def due(database: Database) -> Due:
    return retention(database).due()


def apply(database: Database) -> Removed:
    return retention(database).apply(due(database))


def versions(database: Database, project: str = "a") -> list[str]:
    with database.read() as tx:
        return tx.releases.versions(project)


def counts(database: Database) -> dict[str, int]:
    """How many rows each table has, but for those that are not about releases."""
    apart = {"catalog_item", "counter", "audit_event"}
    with database.engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in apart
        }


def told(found: Due) -> tuple[list[str], list[int]]:
    return [each.version for each in found.releases], [trace.id for trace in found.logs]


# ---- what goes ----


def test_what_is_not_kept_goes_with_all_that_belongs_to_it(database: Database) -> None:
    keep(database, QA=3)
    for version in range(1, 8):
        deploy(database, version)
    assert told(due(database)) == (["1", "2", "3", "4"], [])
    removed = apply(database)
    assert removed == Removed(releases=4, deployments=4, runs=4 * RUNS)
    assert versions(database) == ["5", "6", "7"]
    left = counts(database)
    assert {name: many for name, many in left.items() if many} == {
        "release": 3,
        "snapshot": 3,
        "deployment": 3,
        "step": 3,
        "step_run": 3 * RUNS,
        "run_output": 3 * RUNS * PIECES,
    }
    assert told(due(database)) == ([], [])
    assert apply(database) == Removed()


def test_a_dry_run_lists_exactly_what_goes_and_changes_nothing(database: Database) -> None:
    keep(database, QA=2, Production=3)
    for version in range(1, 7):
        deploy(database, version)
        if version in (1, 2, 5):
            deploy(database, version, "Production")
    before = counts(database)
    found = due(database)
    assert told(found) == (["3", "4"], [1, 3])
    assert told(found) == told(due(database))
    assert counts(database) == before
    assert apply(database) == Removed(releases=2, deployments=2, runs=2 * RUNS, logs=2)
    assert versions(database) == ["1", "2", "5", "6"]


def test_an_environment_that_lets_go_what_another_keeps_loses_its_logs_and_no_more(
    database: Database,
) -> None:
    keep(database, QA=1)
    in_qa = deploy(database, 1)
    in_production = deploy(database, 1, "Production")
    for version in (2, 3):
        deploy(database, version)
    assert told(due(database)) == ([], [in_qa])
    assert apply(database) == Removed(logs=1)
    with database.read() as tx:
        assert tx.retention.with_logs([in_qa, in_production]) == {in_production}
        assert tx.deployments.succeeded_environments(1) == {"QA", "Production"}, "how far it came"
        assert len(tx.runs.of_deployment(in_qa)) == RUNS
    assert told(due(database)) == ([], [])


def test_where_no_phase_says_so_nothing_goes_and_nothing_is_written(database: Database) -> None:
    keep(database)
    for version in range(1, 8):
        deploy(database, version)
    found = due(database)
    assert (found.ruled, told(found)) == (False, ([], []))
    assert apply(database) == Removed()


def test_releases_that_were_nowhere_yet_and_other_projects_stay(database: Database) -> None:
    keep(database, QA=1)
    with database.write() as tx:
        add_release(tx, "never")
        add_release(tx, "1", "gone-from-the-catalog")
    for version in range(1, 5):
        deploy(database, version)
        deploy(database, version, project="b")
    apply(database)
    assert versions(database) == ["never", "3", "4"]
    assert versions(database, "b") == ["3", "4"]
    assert versions(database, "gone-from-the-catalog") == ["1"]


@pytest.mark.parametrize(
    "state", [DeploymentState.QUEUED, DeploymentState.RUNNING, DeploymentState.PAUSED]
)
def test_what_is_under_way_stays_whole(database: Database, state: DeploymentState) -> None:
    keep(database, QA=1, Production=1)
    deploy(database, 1)
    deploy(database, 1, "Production", state)
    for version in range(2, 5):
        deploy(database, version)
    assert told(due(database)) == (["2"], [])
    apply(database)
    assert versions(database) == ["1", "3", "4"]


def test_what_a_schedule_names_stays(database: Database) -> None:
    schedule = {"name": "nightly", "project": "a", "release": "1", "environment": "QA"}
    keep(database, [schedule], QA=1)
    for version in range(1, 5):
        deploy(database, version)
    apply(database)
    assert versions(database) == ["1", "3", "4"]


def test_snapshots_that_nothing_refers_to_any_more_go(database: Database) -> None:
    keep(database, QA=3)
    deploy(database, 1)
    with database.write() as tx:
        for number in range(3):  # refreshed three times, and deployed with the second only
            tx.releases.refresh(1, Snapshot({"project": "a", "version": "1", "n": number}))
            if number == 1:
                _deploy(tx, 1, "Production")
    apply(database)
    with database.engine.connect() as connection:
        left = list(connection.execute(select(snapshot.c.id).order_by(snapshot.c.id)).scalars())
    assert left == [1, 3, 4], "of its first deployment, of its second, and its own"


def test_no_number_is_given_twice(database: Database) -> None:
    """SQLite numbers rows after the highest there is: no new run must be taken for an old one."""
    keep(database, QA=1)
    for version in ("old", 1, 2, 3, 4):
        deploy(database, version)
    # The newest release is let go, as two others have come back since. So is the third, whose
    # deployment has the last run of all, as it was tried again for long, and the first one, which
    # has the newest snapshot.
    for version in (1, 2):
        deploy(database, version)
    with database.write() as tx:
        (first, *_) = tx.runs.of_deployment(4)
        tx.runs.add_attempt(first, None, NOW)
        tx.releases.refresh(1, Snapshot({"project": "a", "version": "old", "n": 1}))

    def highest() -> list[int]:
        tables = (release, snapshot, deployment, step_run)
        with database.engine.connect() as connection:
            return [connection.execute(select(func.max(t.c.id))).scalar_one() for t in tables]

    before = highest()
    assert told(due(database)) == (["old"], [])
    apply(database)
    assert highest() == before
    deploy(database, 5)
    apply(database)
    assert versions(database) == ["2", "5"], "there are higher numbers now"


# ---- batches ----


def batch(database: Database, name: str, *numbers: int) -> int:
    with database.write() as tx:
        return tx.batches.add(name, "0", numbers, NOW)


def test_releases_of_a_batch_that_still_runs_stay(database: Database) -> None:
    keep(database, QA=1)
    for version in range(1, 5):
        deploy(database, version)
    running = deploy(database, 1, "QA", DeploymentState.RUNNING, "b")
    with database.read() as tx:
        found = tx.releases.find("b", "1")
    assert found is not None
    batch(database, "nightly", 1, found.id)
    batch(database, "weekly", 1, 2)
    assert told(due(database)) == (["2"], [])
    with database.write() as tx:
        tx.deployments.end(running, DeploymentState.SUCCEEDED, None, NOW)
    assert told(due(database)) == (["1", "2"], [])


def test_a_batch_stays_and_counts_what_it_has_lost(database: Database) -> None:
    keep(database, QA=1)
    for version in range(1, 6):
        deploy(database, version)
    some, all_ = batch(database, "some", 1, 2, 4), batch(database, "all", 1, 2)
    apply(database)
    with database.read() as tx:
        assert [r.version for r in tx.batches.releases(some)] == ["4"]
        assert tx.batches.releases(all_) == []
        assert [tx.batches.struck_off(each) for each in (some, all_)] == [2, 2]
    for version in (6, 7):
        deploy(database, version)
    apply(database)
    with database.read() as tx:
        assert tx.batches.struck_off(some) == 3


# ---- beside others ----


def many(database: Database) -> None:
    """Twelve releases of which ten go, one with logs that another environment lets go."""
    keep(database, QA=2, Production=1)
    deploy(database, 1)
    deploy(database, 1, "Production")
    for version in range(2, 13):
        deploy(database, version)


def test_it_may_be_interrupted_anywhere_and_said_again(database: Database) -> None:
    many(database)
    expected = told(due(database))
    writes = 0
    while True:
        with interrupted(database, writes):
            removed = apply(database)
            break
        found = told(due(database))
        assert {*found[0]} <= {*expected[0]}, "what is left is found again, and nothing else"
        writes += 1
    assert writes > 3, "it has been interrupted at several places"
    assert removed.releases <= 9
    assert versions(database) == ["1", "11", "12"]
    assert told(due(database)) == ([], [])


@contextmanager
def interrupted(database: Database, after: int) -> Iterator[None]:
    """The process ends before the commit that comes after so many."""
    left = after

    def end(_connection: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted

    event.listen(database.engine, "commit", end)
    try:
        yield
    except Interrupted:
        pass
    finally:
        event.remove(database.engine, "commit", end)


def test_several_may_do_it_at_once(database: Database) -> None:
    many(database)
    others = [Database(database.url) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        removed = list(pool.map(apply, [database, *others]))
    for other in others:
        other.close()
    removed.append(apply(database))  # what each of them took for another's work is found again
    assert sum(each.releases for each in removed) == 9
    assert versions(database) == ["1", "11", "12"]
    with database.read() as tx:
        entries = tx.audit.after(None, 1000)
    assert verify(entries).broken is None
    gone = [
        v for e in entries if e.event and e.event.after for v in e.event.after.get("releases", ())
    ]
    assert sorted(gone) == sorted(f"a {version}" for version in range(2, 11))


def test_what_somebody_uses_after_it_was_decided_stays(database: Database) -> None:
    keep(database, QA=1)
    for version in range(1, 6):
        deploy(database, version)
    found = due(database)
    assert told(found) == (["1", "2", "3"], [])
    deploy(database, 2, "QA", DeploymentState.QUEUED)
    deploy(database, 3, "QA", DeploymentState.FAILED)
    removed = retention(database).apply(found)
    assert removed.releases == 1
    assert versions(database) == ["2", "3", "4", "5"]
    with database.read() as tx:
        assert len(tx.runs.of_deployment(2)) == RUNS, "it is whole"


def test_what_somebody_needs_once_its_logs_have_gone_stays(tmp_path: Path) -> None:
    database = FragileDatabase(sqlite_url(tmp_path / "deployengine.db"))
    prepare(database)
    keep(database, QA=1)
    for version in range(1, 5):
        deploy(database, version)
    found = due(database)
    assert told(found) == (["1", "2"], [])
    nightly = {
        "name": "n",
        "project": "a",
        "environment": "QA",
        "release": "1",
        "cron": "0 2 * * *",
    }
    database.meanwhile["retain"] = lambda: keep(database, [nightly], QA=1)
    assert retention(database).apply(found).releases == 1
    assert versions(database) == ["1", "3", "4"]
    database.close()


def test_no_transaction_removes_more_than_some_rows(database: Database) -> None:
    many(database)
    dropped: list[int] = []
    event.listen(
        database.engine,
        "after_cursor_execute",
        lambda _c, cursor, statement, *_: (
            dropped.append(cursor.rowcount)
            if statement.startswith(("DELETE FROM run_output", "DELETE FROM step_run"))
            else None
        ),
    )
    retention(database, rows=4).apply(due(database))
    assert max(dropped) == 4
    assert sum(dropped) == 9 * RUNS * (1 + PIECES) + RUNS * PIECES
    assert versions(database) == ["1", "11", "12"]


def test_a_deployment_that_is_asked_for_holds_its_release(
    postgres_server: Any, tmp_path: Path
) -> None:
    """On PostgreSQL, where both may be at it: who comes second sees what the first has done."""
    database = Database(postgres_server.create_database())
    prepare(database)
    keep(database, QA=1)
    for version in range(1, 5):
        deploy(database, version)
    found = due(database)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as tx:
            _deploy(tx, 1, "Production")
            removed = pool.submit(retention(database).apply, found).result(60)
        assert removed.releases == 1, "the other one is left, and nobody has waited"
    assert versions(database) == ["1", "3", "4"]
    database.close()


# ---- on record ----


def test_what_went_is_on_record_with_who_had_it_removed(database: Database) -> None:
    many(database)
    retention(database).apply(due(database), "alice")
    with database.read() as tx:
        found = [entry.event for entry in tx.audit.after(None, 10)]
    assert [(e.who, e.action, e.subject) for e in found if e] == [
        ("alice", Action.RETENTION_APPLY, "retention")
    ] * 2
    logs, releases = (e.after for e in found if e and e.after)
    assert logs == {"logs": ["dep-1"]}
    assert releases["releases"] == [f"a {version}" for version in range(2, 11)]
    assert releases["deployments"] == [f"dep-{number}" for number in range(3, 12)]


def test_every_table_that_refers_to_what_goes_is_thought_of() -> None:
    goes = {"release", "deployment", "step_run", "snapshot"}
    refer = {
        table.name
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in goes
    }
    thought_of = {
        *("absence", "batch_release", "deployment_hold", "step", "run_touch", "run_output"),
    }
    assert refer - goes == thought_of, "see deployengine.persistence.retention"


# ---- the rest of the engine does not miss it ----

SHOP = catalog(
    project("app", "echo hello\n"),
    environments=["QA", "Production"],
    machines=[machine("qa-1", "QA"), machine("prod-1", "Production")],
    lifecycles=[
        {
            "name": "auto",
            "phases": [
                {"name": "QA", "automatic": ["QA"], "keep_releases": 1},
                {"name": "Production", "manual": ["Production"], "keep_releases": 2},
            ],
        }
    ],
)


@pytest.fixture
def shop(house: House) -> House:
    house.apply(SHOP)
    return house


def released(house: House, *versions: str) -> None:
    for version in versions:
        house.releases.create(Wanted("app", version))
        house.deliver_all()


def in_production(house: House, *versions: str) -> None:
    for version in versions:
        house.deployments.deploy("app", version, "Production")
        house.deliver_all()


def test_the_way_back_stays_open(shop: House) -> None:
    released(shop, "1.0", "2.0", "3.0", "4.0", "5.0")
    in_production(shop, "1.0", "2.0", "3.0")
    shop.retention.look()
    assert versions(shop.database, "app") == ["2.0", "3.0", "4.0", "5.0"]
    back = shop.again.roll_back("app", "Production", None, PLAIN)
    shop.deliver_all()
    assert (back.version, shop.detail(back.id).deployment.state) == ("2.0", "succeeded")
    with pytest.raises(NoPredecessor):
        shop.again.roll_back("app", "Production", "4.0", PLAIN)


def test_the_way_back_stays_open_after_a_rollback_as_well(shop: House) -> None:
    released(shop, "1.0", "2.0", "3.0", "4.0")
    in_production(shop, "1.0", "2.0", "3.0")
    found_before = shop.retention.due()
    shop.again.roll_back("app", "Production", None, PLAIN)
    shop.deliver_all()
    assert [going.version for going in found_before.releases] == ["1.0"]
    assert shop.retention.due().releases == ()
    shop.retention.apply(found_before)
    assert shop.again.roll_back("app", "Production", None, PLAIN).version == "1.0"


def test_a_release_whose_logs_went_goes_on_as_before(shop: House) -> None:
    released(shop, "1.0")
    in_production(shop, "1.0")
    released(shop, "2.0", "3.0", "4.0")
    shop.retention.look()
    assert shop.queries.output(shop.detail(1).runs[0].id) == []
    assert shop.queries.output(shop.detail(2).runs[0].id) != []
    in_production(shop, "1.0")
    assert len(shop.queries.deployments("app", "Production")) == 2


def test_a_batch_that_was_run_before_does_nothing_new_although_its_releases_are_gone(
    shop: House,
) -> None:
    rows = [Row(Wanted("app", "1.0"))]
    shop.batches.run(rows, "nightly")
    shop.deliver_all()
    released(shop, "2.0", "3.0", "4.0")
    shop.retention.look()
    progress = shop.batches.progress("nightly", with_runs=True)
    assert (progress.state, progress.removed, progress.releases) == ("removed", 1, ())
    shop.batches.run(rows, "nightly")
    assert versions(shop.database, "app") == ["3.0", "4.0"]
    shop.batches.cancel("nightly")


def test_the_number_of_a_release_that_went_is_free_again(shop: House) -> None:
    released(shop, "1.0", "2.0", "3.0")
    shop.retention.look()
    made = shop.releases.create(Wanted("app", "1.0"))
    assert made.new
    assert made.release.id == 4
