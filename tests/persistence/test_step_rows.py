"""Steps: the barrier. Whoever brings the count to zero is the last, and there is one last."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.persistence import Database, Transaction
from deployengine.persistence.schema import step
from tests.persistence.conftest import (
    NOW,
    Interrupted,
    add_deployment,
    add_release,
    add_step,
    at_once,
    interrupt,
    later,
)

CALLERS = 16


def step_in(database: Database, state: StepState) -> int:
    """A deployment whose only step is in this state."""
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.steps.add(number, ["Install"])
    with database.engine.begin() as connection:
        connection.execute(update(step).values(state=state))
    return number


@pytest.mark.parametrize("state", StepState)
def test_only_a_pending_step_opens(database: Database, state: StepState) -> None:
    number = step_in(database, state)
    with database.write() as tx:
        assert tx.steps.open(number, 0, 3) is (state is StepState.PENDING)
        (found,) = tx.steps.of(number)
    moved = state is StepState.PENDING
    assert (found.state, found.open_runs) == ((StepState.OPEN, 3) if moved else (state, 0))


@pytest.mark.parametrize("state", StepState)
def test_only_a_pending_step_is_skipped(database: Database, state: StepState) -> None:
    number = step_in(database, state)
    with database.write() as tx:
        assert tx.steps.skip(number, 0, NOW) is (state is StepState.PENDING)
        expected = StepState.DONE if state is StepState.PENDING else state
        assert tx.steps.state(number, 0) is expected


@pytest.mark.parametrize("state", [StepState.PENDING, StepState.DONE])
def test_counting_down_ends_no_step_that_is_not_open(database: Database, state: StepState) -> None:
    number = step_in(database, state)
    with database.write() as tx:
        assert not tx.steps.count_down(number, 0, 0, NOW)
        assert tx.steps.state(number, 0) is state


def test_several_runs_may_be_taken_off_the_count_at_once(database: Database) -> None:
    with database.write() as tx:
        number = add_step(tx, ["m-1", "m-2", "m-3"])
        assert not tx.steps.count_down(number, 0, 2, NOW)
        assert tx.steps.state(number, 0) is StepState.OPEN
        assert tx.steps.count_down(number, 0, 1, NOW)
        assert tx.steps.state(number, 0) is StepState.DONE


def test_of_sixteen_that_count_down_at_once_exactly_one_is_the_last(database: Database) -> None:
    with database.write() as tx:
        number = add_step(tx, [f"m-{n}" for n in range(CALLERS)])

    def count_down() -> bool:
        with database.write() as tx:
            return tx.steps.count_down(number, 0, 1, NOW)

    assert sorted(at_once(CALLERS, count_down)) == [False] * (CALLERS - 1) + [True]
    with database.read() as tx:
        assert tx.steps.state(number, 0) is StepState.DONE


def test_a_count_that_is_rolled_back_was_not_counted(database: Database) -> None:
    with database.write() as tx:
        number = add_step(tx)
    with pytest.raises(Interrupted), database.write() as tx:
        interrupt(tx.steps.count_down(number, 0, 1, NOW))
    with database.write() as tx:
        assert tx.steps.state(number, 0) is StepState.OPEN
        assert tx.steps.count_down(number, 0, 1, NOW)


def test_the_names_of_many_deployments_come_in_the_order_of_their_steps(
    database: Database,
) -> None:
    with database.write() as tx:
        release = add_release(tx)
        numbers = [add_deployment(tx, release) for _ in range(3)]
        for number in numbers[:2]:
            tx.steps.add(number, [f"first of {number}", f"second of {number}"])
        assert tx.steps.names(numbers) == {
            numbers[0]: (f"first of {numbers[0]}", f"second of {numbers[0]}"),
            numbers[1]: (f"first of {numbers[1]}", f"second of {numbers[1]}"),
            numbers[2]: (),
        }
        # More than a statement takes parameters for on some databases.
        assert len(tx.steps.names(range(1, 1201))) == 1200


def test_a_chain_is_between_two_links_while_no_step_is_open_and_every_step_moves_it_on(
    database: Database,
) -> None:
    with database.write() as tx:
        number = _two_steps(tx)
        assert tx.steps.stalled() == []  # queued: nothing is to be under way
        tx.deployments.begin(number, later(0))
        assert tx.steps.stalled() == [(number, 0)]
        tx.steps.open(number, 0, 1)
        assert tx.steps.stalled() == []  # its scripts may take as long as they like
        tx.steps.count_down(number, 0, 1, later(20))
        assert tx.steps.stalled() == [(number, 1)]
        tx.steps.skip(number, 1, later(30))
        assert tx.steps.stalled() == [(number, 2)]


def test_a_chain_that_has_ended_does_not_stall(database: Database) -> None:
    with database.write() as tx:
        number = _two_steps(tx)
        tx.deployments.begin(number, later(0))
        assert tx.steps.stalled() == [(number, 0)]
        tx.deployments.end(number, DeploymentState.CANCELLED, None, later(1))
        assert tx.steps.stalled() == []


def _two_steps(tx: Transaction) -> int:
    number = add_deployment(tx, add_release(tx))
    tx.steps.add(number, ["Install", "Check"])
    for position in range(2):
        tx.runs.add(number, position, [("m-1", "exclusive")])
    return number


def test_steps_come_back_in_order_with_their_states(database: Database) -> None:
    with database.write() as tx:
        number = _two_steps(tx)
        tx.steps.skip(number, 0, NOW)
        assert [(s.name, s.state) for s in tx.steps.of(number)] == [
            ("Install", StepState.DONE),
            ("Check", StepState.PENDING),
        ]
        assert {run.state for run in tx.runs.of_deployment(number)} == {RunState.PENDING}
