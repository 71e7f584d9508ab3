"""A put-back meets a cancel on PostgreSQL: whoever comes first, the run ends cancelled.

Each is held at one of its statements while the other one comes, and goes on when the other has
ended or waits for a row. A run that waits, unmarked, in a deployment that is marked would be
begun after all, or stay for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from sqlalchemy import event

from deployengine.domain.deployment import RunState
from deployengine.engine.claims import Claimed
from deployengine.persistence import Database
from deployengine.persistence.database import SOON
from tests.engine.test_pick_up import claim, look, ran
from tests.engine.test_step_runs import granted
from tests.support.engine import until
from tests.support.fakes import House
from tests.support.postgres import PostgresServer

PATIENCE = 30.0

#: The statements of a cancel and of a put-back, in order.
CANCEL = {
    "it has the deployment": r"SELECT .* FROM deployment .* FOR UPDATE",
    "it has marked the deployment": r"UPDATE deployment SET cancel_requested_at",
    "it has cancelled what is parked": r"UPDATE step_run SET state=",
    "it has marked what runs": r"UPDATE step_run SET cancel_requested_at",
}
PUT_BACK = {
    "it has the deployment": r"SELECT .* FROM deployment .* FOR UPDATE",
    "it has put the run back": r"UPDATE step_run SET",
}


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database on PostgreSQL."""
    return postgres_server.create_database()


@pytest.fixture
def house(url: str, tmp_path: Path, fake_redis: Redis) -> Iterator[House]:
    """A worker over PostgreSQL."""
    with House(tmp_path / "home", fake_redis, database_url=url) as house:
        house.handoff.rebuild()
        yield house


@pytest.fixture
def other(house: House, url: str) -> Iterator[House]:
    """A second one, which is alive."""
    with house.neighbour(database_url=url) as other:
        other.lease.beat()
        yield other


class Meeting:
    """Has one transaction held at a statement until another one has ended, or waits for a row."""

    def __init__(self, server: PostgresServer, url: str, second: Callable[[], Any]) -> None:
        self._server = server
        self._name = url.partition("@/")[2].partition("?")[0]
        self._second = second
        self._pool = ThreadPoolExecutor(2)
        self._come: Future[Any] | None = None
        #: Whether the second one had to wait for the first.
        self.waited = False

    def bring_about(self, first: Callable[[], Any], database: Database, statement: str) -> Any:
        """What the first one and the second came to; the first is held after this statement."""
        with self._pool, self._held(database, statement):
            begun = self._pool.submit(first)
            result = begun.result(PATIENCE)
            assert self._come is not None, f"the first never came to {statement}"
            return result, self._come.result(PATIENCE)

    @contextmanager
    def _held(self, database: Database, statement: str) -> Iterator[None]:
        def after(_connection: Any, _cursor: Any, said: str, *_: Any) -> None:
            if self._come is None and re.search(statement, " ".join(said.split())):
                self._come = self._pool.submit(self._second)
                until(self._settled, "the second one ends or waits for a row", PATIENCE)

        event.listen(database.engine, "after_cursor_execute", after)
        try:
            yield
        finally:
            event.remove(database.engine, "after_cursor_execute", after)

    def _settled(self) -> bool:
        assert self._come is not None
        self.waited = self._waits()
        return self.waited or self._come.done()

    def _waits(self) -> bool:
        with self._server.connect("postgres") as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = %s AND wait_event_type = 'Lock'",
                (self._name,),
            ).fetchone()
        return bool(found and found[0])


def never_begun(house: House, other: House) -> Claimed:
    """A run that its worker has claimed and never begun, and that the other one has taken over."""
    run = granted(house, "echo once >> ran\n")
    claim(house, run)
    house.lease.leave()
    (orphan,) = other.step_runs.claims.orphans(other.lease.name, other.lease.place)
    inherited = other.step_runs.claims.take_over(orphan, other.lease.name)
    assert inherited is not None
    return inherited.claimed


def assert_it_ends_cancelled(house: House, other: House, claimed: Claimed) -> None:
    """Whatever it takes from here on: nothing begins, and everything is free."""
    run = house.queries.run(claimed.run.id)
    assert house.detail(1).deployment.cancel_requested_at is not None
    if run.state is not RunState.CANCELLED:
        assert run.state is RunState.RUNNING, "a run that waits here would never be cancelled"
        assert house.recovery.cancelling() == [run.id]
        look(other)  # on record as its own, and in no thread
        other.clock.advance(10)
        look(other)
        other.pick_up.join()
    house.deliver_all()
    other.deliver_all()
    assert house.queries.run(run.id).state is RunState.CANCELLED
    assert house.detail(1).deployment.state == "cancelled"
    assert house.held() == {}
    assert ran(house) == []


@pytest.mark.parametrize("when", CANCEL)
def test_a_put_back_that_comes_while_a_deployment_is_being_cancelled_is_refused(
    house: House, other: House, postgres_server: PostgresServer, url: str, when: str
) -> None:
    claimed = never_begun(house, other)
    meeting = Meeting(postgres_server, url, lambda: other.step_runs.claims.put_back(claimed))
    _, put_back = meeting.bring_about(
        lambda: house.deployments.cancel(1), house.database, CANCEL[when]
    )
    assert meeting.waited, "they go one after the other"
    assert not put_back
    assert_it_ends_cancelled(house, other, claimed)


@pytest.mark.parametrize("when", PUT_BACK)
def test_a_cancel_that_comes_while_a_run_is_being_put_back_finds_it_waiting(
    house: House, other: House, postgres_server: PostgresServer, url: str, when: str
) -> None:
    claimed = never_begun(house, other)
    meeting = Meeting(postgres_server, url, lambda: house.deployments.cancel(1))
    put_back, _ = meeting.bring_about(
        lambda: other.step_runs.claims.put_back(claimed), other.database, PUT_BACK[when]
    )
    assert meeting.waited, "they go one after the other"
    assert put_back
    assert house.queries.run(claimed.run.id).state is RunState.CANCELLED
    assert_it_ends_cancelled(house, other, claimed)


def test_a_run_of_a_deployment_that_is_marked_is_not_put_back_even_if_it_is_not_marked_itself(
    house: House, other: House
) -> None:
    claimed = never_begun(house, other)
    with house.database.write() as tx:
        tx.deployments.request_cancel(1, house.clock.now())
    assert not other.step_runs.claims.put_back(claimed)
    found = house.queries.run(claimed.run.id)
    assert (found.state, found.fence) == (RunState.RUNNING, claimed.fence)


# ---- a server that has vanished ----


def parameters(database: Database) -> dict[str, str]:
    """What libpq was told when it connected, as it has understood it."""
    with database.connected() as connection:
        live = connection.connection.dbapi_connection
        assert isinstance(live, psycopg.Connection)
        return live.info.get_parameters()


def test_a_server_that_has_vanished_is_soon_missed(url: str) -> None:
    database = Database(url)
    told = parameters(database)
    assert {name: told[name] for name in SOON} == {name: str(n) for name, n in SOON.items()}
    database.close()


@pytest.mark.parametrize("name", SOON)
def test_what_the_url_says_comes_first(url: str, name: str) -> None:
    database = Database(f"{url}&{name}=17")
    told = parameters(database)
    assert {each: told[each] for each in SOON} == {
        each: "17" if each == name else str(n) for each, n in SOON.items()
    }
    database.close()
