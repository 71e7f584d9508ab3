"""Hand-off: who leaves lets the next one in; what Redis lost is loaded again from the database."""

from __future__ import annotations

import pytest

from deployengine.engine.requests import for_deployment
from deployengine.persistence.counters import FENCE
from tests.acceptance.catalogs import bypassing, catalog, machine, project
from tests.support.fakes import House

FIVE = ("one", "two", "three", "four", "five")


def fill(house: House) -> None:
    """Five runs on one machine: one runs, one is granted beside it, three wait."""
    bypass = [bypassing("True")]
    house.apply(
        catalog(*(project(n, "true\n", variables=bypass if n in FIVE[:2] else []) for n in FIVE))
    )
    for name in FIVE:
        house.create(name)
    house.deliver_chains()
    claim(house, house.dispatcher.granted[0].run_id)
    house.dispatcher.lose()


def claim(house: House, run: int) -> None:
    """Some worker has begun the run."""
    now = house.clock.now()
    with house.database.write() as tx:
        assert tx.claims.claim(run, "elsewhere", tx.counters.draw(FENCE), now, now)


def runs_on(house: House, machine_: str = "qa-1") -> tuple[list[str], list[str]]:
    return house.held()[f"machine:{machine_}"]


def test_the_next_in_line_is_let_in_and_told_when_somebody_leaves(house: House) -> None:
    house.apply(catalog(project("one", "true\n"), project("two", "true\n")))
    house.create("one")
    house.create("two")
    house.deliver_chains()
    (first,) = house.dispatcher.take_runs()
    assert [number for number, _ in house.dispatcher.told_parked] == [2]
    house.execute(first)
    (second,) = house.dispatcher.take_runs()
    assert second.run_id == 2
    assert second.label == "two 1.0 → QA · Install on qa-1"


def test_entering_or_leaving_again_changes_nothing_and_sends_no_run_twice(house: House) -> None:
    fill(house)
    before = house.held()
    house.handoff.exchange(leaving=["run-99", "dep-99"])
    with house.database.read() as tx:
        again = [for_deployment(d) for d in tx.deployments.open()]
    house.handoff.exchange(entering=again)
    assert house.held() == before
    assert not house.dispatcher.granted


def test_redis_that_was_emptied_gets_the_same_holders_and_waiters_again(house: House) -> None:
    fill(house)
    before = house.held()
    assert runs_on(house) == (["run-1", "run-2"], ["run-3", "run-4", "run-5"])
    house.redis.flushall()
    assert house.held() == {}
    house.handoff.rebuild()
    assert house.held() == before


def test_a_rebuild_sends_again_what_was_granted_and_not_claimed(house: House) -> None:
    fill(house)
    house.redis.flushall()
    house.handoff.rebuild()
    assert [run.run_id for run in house.dispatcher.granted] == [2]


def test_a_rebuild_twice_ends_as_a_rebuild_once(house: House) -> None:
    fill(house)
    before = house.held()
    house.handoff.rebuild()
    house.handoff.rebuild()
    assert house.held() == before


def test_a_rebuild_gives_the_machine_to_nobody_while_a_script_runs_on_it(house: House) -> None:
    house.apply(catalog(project("one", "true\n"), project("two", "true\n")))
    house.create("one")
    house.create("two")
    house.deliver_chains()
    claim(house, 1)
    house.dispatcher.lose()
    house.redis.flushall()
    house.handoff.rebuild()
    assert runs_on(house) == (["run-1"], ["run-2"])
    assert not house.dispatcher.granted


def test_whoever_finds_the_locks_empty_loads_them_and_goes_on(house: House) -> None:
    fill(house)
    house.apply(catalog(*(project(n, "true\n") for n in (*FIVE, "six"))))
    house.redis.flushall()
    house.create("six")
    holders, waiters = runs_on(house)
    assert (holders, waiters) == (["run-1", "run-2"], ["run-3", "run-4", "run-5"])
    assert house.held()["tag:six/QA"] == (["dep-6"], [])


def test_each_grant_is_dispatched_once_even_when_the_locks_had_to_be_loaded_first(
    house: House,
) -> None:
    house.apply(catalog(project("one", "true\n")))
    house.redis.flushall()
    house.create("one")
    assert len(house.dispatcher.take_chains()) == 1
    house.phases.begin(1)
    house.redis.flushall()
    house.phases.open_stage(1, 0)
    assert [run.run_id for run in house.dispatcher.take_runs()] == [1]


def test_a_process_that_slept_through_a_rebuild_learns_of_it_and_goes_on(house: House) -> None:
    fill(house)
    other = house.neighbour()
    other.handoff.rebuild()
    generation = house.locks.generation()
    house.apply(catalog(project("six", "true\n")))
    house.create("six")
    assert house.locks.generation() == generation, "a second rebuild was not needed"
    assert house.held()["tag:six/QA"] == (["dep-6"], [])
    other.close()


def test_who_is_overtaken_by_a_newer_rebuild_leaves_it_to_that(house: House) -> None:
    newer = (house.locks.generation() or 0) + 5
    house.locks.rebuild(newer, (), ())

    house.handoff.rebuild()

    assert house.locks.generation() == newer


def test_each_rebuild_is_a_generation_of_its_own(house: House) -> None:
    first = house.locks.generation()
    house.handoff.rebuild()
    second = house.locks.generation()
    assert first is not None
    assert second == first + 1


@pytest.mark.parametrize("cap", [1, 2])
def test_max_concurrent_bounds_who_shares_a_machine(house: House, cap: int) -> None:
    bypass = [bypassing("True")]
    machines = [machine("qa-1", "QA", max_concurrent=cap)]
    house.apply(catalog(*(project(n, "true\n", variables=bypass) for n in FIVE), machines=machines))
    for name in FIVE:
        house.create(name)
    house.deliver_chains()
    assert len(house.dispatcher.granted) == cap
    house.deliver_all()
    assert house.held() == {}
