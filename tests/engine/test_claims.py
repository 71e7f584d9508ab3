"""The database ratifies: what Redis should not have granted does not run, and is given back."""

from __future__ import annotations

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.ports import GrantedRun
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House

LEAVES_A_TRACE = 'echo "$DEPLOYENGINE_PROJECT" >> ran\n'


@pytest.fixture
def two(house: House) -> House:
    """Runs 1 and 2 of two projects on one machine; the first is granted."""
    house.apply(catalog(project("one", LEAVES_A_TRACE), project("two", LEAVES_A_TRACE)))
    house.create("one")
    house.create("two")
    house.deliver_chains()
    return house


def ran(house: House) -> list[str]:
    trace = house.workdir("qa-1") / "ran"
    return trace.read_text().splitlines() if trace.exists() else []


def message(house: House, number: int) -> GrantedRun:
    """A message that nobody should have sent."""
    return GrantedRun(number, house.clock.now(), "")


def test_a_run_whose_turn_has_not_come_does_not_run_whoever_says_so(two: House) -> None:
    assert two.execute(message(two, 2)) is None
    assert ran(two) == []
    assert two.queries.run(2).state is RunState.WAITING
    two.deliver_all()
    assert ran(two) == ["one", "two"]
    assert two.held() == {}


def test_when_redis_gave_a_machine_away_twice_the_second_waits_and_redis_is_loaded_again(
    two: House,
) -> None:
    (first,) = two.dispatcher.take_runs()
    with two.database.write() as tx:
        fence = tx.counters.draw("fence")
        now = two.clock.now()
        assert tx.claims.claim(first.run_id, "elsewhere", fence, now, now) is not None
    # Redis forgets the holder while its script runs, and lets the next one in.
    generation = two.locks.generation() or 0
    (grant,) = two.locks.release(generation, ["run-1"])
    assert grant.request_id == "run-2"
    assert two.execute(GrantedRun(2, grant.granted_at, grant.label)) is None
    assert ran(two) == []
    assert two.held()["machine:qa-1"] == (["run-1"], ["run-2"])


def test_when_redis_never_heard_of_the_first_in_line_the_first_still_goes_first(
    house: House,
) -> None:
    house.apply(catalog(project("one", LEAVES_A_TRACE), project("two", LEAVES_A_TRACE)))
    house.create("one")
    house.create("two")
    house.deliver_chains()
    house.dispatcher.lose()
    generation = house.locks.generation() or 0
    (grant,) = house.locks.release(generation, ["run-1"])
    assert house.execute(GrantedRun(2, grant.granted_at, grant.label)) is None
    assert house.held()["machine:qa-1"] == (["run-1"], ["run-2"])
    house.deliver_all()
    assert ran(house) == ["one", "two"]
    assert house.held() == {}


def test_what_a_step_touches_is_ratified_too(house: House) -> None:
    touching = [step(LEAVES_A_TRACE, touches=[{"resource": "billing", "everywhere": True}])]
    machines = [machine("qa-1", "QA"), machine("qa-2", "QA")]
    house.apply(catalog(project("app", process=touching), machines=machines))
    house.create("app")
    house.deliver_chains()
    assert house.execute(message(house, 2)) is None
    assert house.queries.run(2).state is RunState.WAITING
    house.deliver_all()
    assert house.states(1) == ["succeeded", "succeeded"]
    assert house.held() == {}
    with house.database.engine.connect() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM run_touch").scalar_one()
    assert left == 0


def test_a_message_that_comes_after_the_end_gives_nothing_back(two: House) -> None:
    (first,) = two.dispatcher.take_runs()
    two.execute(first)
    before = two.held()
    generation = two.locks.generation()
    assert two.execute(first) is None
    assert (two.held(), two.locks.generation()) == (before, generation)


def test_a_deployment_whose_turn_has_not_come_does_not_begin_and_both_go_on(house: House) -> None:
    house.apply(catalog(project("one", LEAVES_A_TRACE)))
    house.create("one")
    house.create("one", version="2.0")
    assert house.phases.begin(2) is False
    assert [d.state for d in house.queries.deployments()] == ["queued", "queued"]
    assert house.held()["tag:one/QA"] == (["dep-1"], ["dep-2"])
    house.deliver_all()
    assert [d.state for d in house.queries.deployments()] == ["succeeded", "succeeded"]
    assert house.held() == {}
