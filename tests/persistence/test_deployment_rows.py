"""Deployments: their lawful moves, what is unique among them, and how they are found."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from deployengine.domain.deployment import DeploymentState
from deployengine.persistence import Conflict, Database
from deployengine.persistence.schema import deployment
from tests.persistence.conftest import NOW, add_deployment, add_release, at_once, later

OPEN = {DeploymentState.QUEUED, DeploymentState.RUNNING, DeploymentState.PAUSED}


def deployment_in(database: Database, state: DeploymentState) -> int:
    """A deployment that some history has brought into this state."""
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
    with database.engine.begin() as connection:
        connection.execute(update(deployment).values(state=state))
    return number


@pytest.mark.parametrize("state", DeploymentState)
def test_only_a_queued_deployment_begins(database: Database, state: DeploymentState) -> None:
    number = deployment_in(database, state)
    with database.write() as tx:
        moved = tx.deployments.begin(number, later(1))
        found = tx.deployments.get(number)
    assert found is not None
    lawful = state is DeploymentState.QUEUED
    assert moved is lawful
    assert found.state is (DeploymentState.RUNNING if lawful else state)
    assert found.started_at == (later(1) if lawful else None)


@pytest.mark.parametrize("state", DeploymentState)
def test_only_an_open_deployment_ends(database: Database, state: DeploymentState) -> None:
    number = deployment_in(database, state)
    with database.write() as tx:
        moved = tx.deployments.end(number, DeploymentState.FAILED, "why", later(2))
        found = tx.deployments.get(number)
    assert found is not None
    assert moved is (state in OPEN)
    assert found.state is (DeploymentState.FAILED if state in OPEN else state)
    assert (found.message, found.finished_at) == (("why", later(2)) if moved else (None, None))


@pytest.mark.parametrize("state", DeploymentState)
def test_only_an_open_deployment_can_be_asked_to_cancel(
    database: Database, state: DeploymentState
) -> None:
    number = deployment_in(database, state)
    with database.write() as tx:
        tx.deployments.request_cancel(number, later(3))
        found = tx.deployments.get(number)
    assert found is not None
    assert found.cancel_requested_at == (later(3) if state in OPEN else None)
    assert found.state is state


def test_of_many_that_begin_it_at_once_one_does(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))

    def begin() -> bool:
        with database.write() as tx:
            return tx.deployments.begin(number, NOW)

    assert sorted(at_once(8, begin)) == [False] * 7 + [True]


def test_a_release_is_promoted_to_an_environment_once(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        assert not tx.deployments.was_started_by_itself(release, "QA")
        add_deployment(tx, release, automatic=True)
        assert tx.deployments.was_started_by_itself(release, "QA")
    with pytest.raises(Conflict), database.write() as tx:
        add_deployment(tx, release, automatic=True)
    with database.write() as tx:
        # By hand as often as one likes, to other environments, and other releases.
        add_deployment(tx, release)
        add_deployment(tx, release)
        add_deployment(tx, release, "Staging", automatic=True)
        add_deployment(tx, add_release(tx, version="2.0"), automatic=True)
        assert len(tx.deployments.some()) == 5


def test_the_plan_comes_back_as_it_was_stored(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        assert tx.deployments.plan(number) == {"tag": "app/QA", "steps": []}


def test_deployments_are_found_by_project_environment_and_state_the_newest_first(
    database: Database,
) -> None:
    with database.write() as tx:
        app, shop = add_release(tx, "app"), add_release(tx, "shop")
        first = add_deployment(tx, app, "QA")
        second = add_deployment(tx, app, "Staging")
        third = add_deployment(tx, shop, "QA")
        tx.deployments.begin(third, NOW)

        def ids(**asked: object) -> list[int]:
            return [d.id for d in tx.deployments.some(**asked)]  # type: ignore[arg-type]

        assert ids() == [third, second, first]
        assert ids(project="app") == [second, first]
        assert ids(environment="QA") == [third, first]
        assert ids(state="running") == [third]
        assert ids(project="app", environment="QA", state="queued") == [first]
        assert ids(limit=1) == [third]
        assert ids(project="none") == []


def test_open_ones_are_counted_and_listed_until_they_end(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        first, second, third = (add_deployment(tx, release, e) for e in ("QA", "Staging", "Prod"))
        tx.deployments.begin(second, NOW)
        tx.deployments.end(third, DeploymentState.CANCELLED, None, NOW)
        assert [d.id for d in tx.deployments.open()] == [first, second]
        assert tx.deployments.count_open() == 2
        assert tx.deployments.still_queued([first, second, third]) == {first}
        assert tx.deployments.still_queued([]) == set()


def test_where_a_release_succeeded_is_where_a_deployment_of_it_did(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        for environment, state in (
            ("QA", DeploymentState.SUCCEEDED),
            ("Staging", DeploymentState.FAILED),
        ):
            number = add_deployment(tx, release, environment)
            tx.deployments.begin(number, NOW)
            tx.deployments.end(number, state, None, NOW)
        assert tx.deployments.succeeded_environments(release) == {"QA"}


@pytest.mark.parametrize("begun", [True, False])
def test_a_newer_release_counts_where_it_has_begun_however_it_ended(
    database: Database, begun: bool
) -> None:
    with database.write() as tx:
        old, new = add_release(tx, version="1.0"), add_release(tx, version="2.0")
        number = add_deployment(tx, new, "Staging")
        if begun:
            assert tx.deployments.begin(number, NOW)
        tx.deployments.end(number, DeploymentState.FAILED, None, NOW)
    with database.read() as tx:
        found = tx.deployments.newer_release_in("app", "Staging", old)
        assert found == ("2.0" if begun else None)
        assert tx.deployments.newer_release_in("app", "QA", old) is None
        assert tx.deployments.newer_release_in("shop", "Staging", old) is None
        assert tx.deployments.newer_release_in("app", "Staging", new) is None


def test_of_one_task_tag_the_earlier_ticket_begins_first_and_one_at_a_time(
    database: Database,
) -> None:
    with database.write() as tx:
        first = add_deployment(tx, add_release(tx, version="1.0"))
        second = add_deployment(tx, add_release(tx, version="2.0"))
        elsewhere = add_deployment(tx, add_release(tx, version="3.0"), "Staging")
        assert not tx.deployments.begin(second, NOW), "the first waits with an earlier ticket"
        assert tx.deployments.begin(elsewhere, NOW), "another tag is no matter"
        assert tx.deployments.begin(first, NOW)
        assert not tx.deployments.begin(second, NOW), "the first runs"
        waiting = tx.deployments.get(second)
        assert waiting is not None
        assert [d.id for d in tx.deployments.in_the_way(waiting)] == [first]
        tx.deployments.end(first, DeploymentState.SUCCEEDED, None, NOW)
        assert tx.deployments.begin(second, NOW)
