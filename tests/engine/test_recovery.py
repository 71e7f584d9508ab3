"""Housekeeping: whatever got lost on the way is found in the database and sent again, once."""

from __future__ import annotations

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.recovery import LOST_AFTER
from deployengine.persistence.counters import FENCE
from deployengine.persistence.records import DeploymentRecord
from tests.acceptance.catalogs import catalog, project, step
from tests.support.fakes import House

LONG = LOST_AFTER * 10


@pytest.fixture
def one(house: House) -> DeploymentRecord:
    """A deployment of two steps; its first message lies with the dispatcher."""
    house.apply(catalog(project("app", process=[step("true\n", "a"), step("true\n", "b")])))
    return house.create("app")


def claim(house: House, run: int) -> None:
    """Some worker has begun the run."""
    now = house.clock.now()
    with house.database.write() as tx:
        assert tx.claims.claim(run, "elsewhere", tx.counters.draw(FENCE), now, now)


def sweep(house: House) -> None:
    house.recovery.sweep()


def sweep_long_after(house: House) -> None:
    """Housekeeping sees things as they are, and finds them so again when they must be lost."""
    sweep(house)
    house.clock.advance(LONG)
    sweep(house)


def test_a_sweep_with_nothing_wrong_sends_nothing(house: House, one: DeploymentRecord) -> None:
    # At every station of a deployment's way, a thorough sweep and a quick one.
    house.dispatcher.chains.clear()
    house.phases.begin(one.id)
    house.phases.open_stage(one.id, 0)
    (run,) = house.dispatcher.take_runs()
    before = house.held()
    sweep(house)
    sweep(house)
    assert house.dispatcher.quiet
    claim(house, run.run_id)
    sweep_long_after(house)
    sweep(house)
    assert house.dispatcher.quiet
    assert house.held() == before


def test_a_sweep_of_an_empty_engine_does_nothing(house: House) -> None:
    sweep(house)
    sweep(house)
    assert house.dispatcher.quiet
    assert house.held() == {}


def test_a_sweep_after_the_end_does_nothing(house: House, one: DeploymentRecord) -> None:
    house.deliver_all()
    sweep_long_after(house)
    assert house.dispatcher.quiet


def test_a_deployment_that_was_stored_and_never_entered_is_entered(
    house: House, one: DeploymentRecord
) -> None:
    house.dispatcher.lose()
    house.locks.release(house.locks.generation() or 0, [f"dep-{one.id}"])
    assert house.held() == {}
    sweep(house)
    assert house.held() == {"tag:app/QA": ([f"dep-{one.id}"], [])}
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_a_run_that_is_ready_and_never_entered_is_entered(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    house.locks.release(house.locks.generation() or 0, [f"run-{run.run_id}"])
    sweep(house)
    assert house.held()["machine:qa-1"] == ([f"run-{run.run_id}"], [])
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_a_holder_that_has_ended_is_freed_and_the_next_one_let_in(house: House) -> None:
    house.apply(catalog(project("one", "true\n"), project("two", "true\n")))
    first, second = house.create("one"), house.create("two")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    claim(house, run.run_id)
    with house.database.write() as tx:
        # Recorded, and then the worker died before it told the locks or anybody.
        now = house.clock.now()
        tx.runs.end(run.run_id, RunState.SUCCEEDED, now, 0)
        tx.steps.count_down(first.id, 0, 1, now)
    sweep(house)
    assert [granted.run_id for granted in house.dispatcher.granted] == [2]
    house.deliver_runs()
    house.deliver_chains()
    sweep_long_after(house)  # the chain of the first was not resumed either
    house.deliver_all()
    states = [house.detail(d.id).deployment.state.value for d in (first, second)]
    assert states == ["succeeded", "succeeded"]
    assert house.held() == {}


def test_a_run_whose_message_is_lost_is_sent_again_once_it_must_be_lost(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    house.dispatcher.lose()
    sweep(house)
    assert house.dispatcher.quiet, "it may still be under way"
    house.clock.advance(LONG)
    sweep(house)
    assert [run.run_id for run in house.dispatcher.granted] == [1]
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_a_run_whose_message_still_lies_in_the_queue_is_not_sent_again(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    sweep_long_after(house)
    sweep(house)
    assert len(house.dispatcher.granted) == 1


def test_a_run_that_a_worker_has_claimed_is_never_sent_again(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    claim(house, house.dispatcher.granted[0].run_id)
    house.dispatcher.lose()
    sweep_long_after(house)
    sweep(house)
    assert house.dispatcher.quiet


def test_a_chain_that_was_lost_before_it_began_is_sent_again(
    house: House, one: DeploymentRecord
) -> None:
    house.dispatcher.lose()
    sweep(house)
    assert house.dispatcher.quiet, "it may still be under way"
    house.clock.advance(LONG)
    sweep(house)
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_a_chain_that_was_lost_between_two_steps_is_resumed(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    house.deliver_runs()
    house.dispatcher.lose()
    sweep(house)
    assert house.dispatcher.quiet, "it may still be under way"
    house.clock.advance(LONG)
    sweep(house)
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_a_chain_that_was_lost_before_its_finish_is_resumed(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    house.deliver_runs()
    house.deliver_chains()
    house.deliver_runs()
    house.dispatcher.lose()
    sweep_long_after(house)
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"
    assert house.held() == {}


def test_a_stalled_chain_is_not_resumed_while_links_lie_in_the_queue(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    house.deliver_runs()
    assert len(house.dispatcher.chains) == 1
    sweep_long_after(house)
    assert len(house.dispatcher.chains) == 1


def test_a_cancel_that_the_worker_did_not_hear_is_repeated_until_the_run_has_ended(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    claim(house, run.run_id)
    house.deployments.cancel(one.id)
    house.dispatcher.lose()
    sweep(house)
    assert house.dispatcher.told_cancelled == [run.run_id]
    with house.database.write() as tx:
        now = house.clock.now()
        tx.runs.end(run.run_id, RunState.CANCELLED, now)
        tx.steps.count_down(one.id, 0, 1, now)
    house.dispatcher.lose()
    sweep(house)
    assert house.dispatcher.told_cancelled == []


def test_a_redis_that_was_emptied_is_loaded_again_by_the_next_sweep(
    house: House, one: DeploymentRecord
) -> None:
    house.deliver_chains()
    before = house.held()
    house.dispatcher.lose()
    house.redis.flushall()
    sweep(house)
    assert house.held() == before
    house.deliver_all()
    assert house.detail(one.id).deployment.state == "succeeded"


def test_when_every_message_is_lost_all_the_time_housekeeping_alone_carries_all_to_the_end(
    house: House,
) -> None:
    house.apply(catalog(*(project(n, "true\n") for n in ("one", "two", "three"))))
    numbers = [house.create(n).id for n in ("one", "two", "three")]
    for _ in range(40):
        house.dispatcher.lose()
        house.clock.advance(LONG)
        sweep(house)
        for links in house.dispatcher.take_chains():
            house.carry(links)
            house.dispatcher.chains.clear()
        house.deliver_runs()
    states = [house.detail(n).deployment.state.value for n in numbers]
    assert states == ["succeeded"] * 3
    assert house.held() == {}
