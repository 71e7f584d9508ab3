"""Step runs: every lawful move, and every unlawful one, which changes nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from deployengine.domain.deployment import RunState
from deployengine.persistence import Conflict, Database
from deployengine.persistence.counters import FENCE, TICKET
from deployengine.persistence.records import RunRecord
from deployengine.persistence.schema import step_run
from tests.persistence.conftest import (
    NOW,
    add_deployment,
    add_release,
    add_step,
    at_once,
    later,
)

#: Granted is a word of Redis: no row is ever in it.
STORED = [state for state in RunState if state is not RunState.GRANTED]


def run_in(database: Database, state: RunState) -> RunRecord:
    """The only run there is, brought into this state."""
    with database.write() as tx:
        deployment = add_step(tx)
    with database.engine.begin() as connection:
        fence = 7 if state is RunState.RUNNING else None
        connection.execute(update(step_run).values(state=state, fence=fence))
    with database.read() as tx:
        (run,) = tx.runs.of_deployment(deployment)
    return run


def again(database: Database, run: RunRecord) -> RunRecord:
    """The run as it is now."""
    with database.read() as tx:
        found = tx.runs.get(run.id)
    assert found is not None
    return found


@pytest.mark.parametrize("state", STORED)
def test_only_a_waiting_run_is_claimed(database: Database, state: RunState) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        claimed = tx.claims.claim(run.id, "worker-1", 7, later(1), later(2))
    if state is not RunState.WAITING:
        assert claimed is None
        assert again(database, run) == run
        return
    assert claimed == again(database, run)
    assert (claimed.state, claimed.worker, claimed.fence) == (RunState.RUNNING, "worker-1", 7)
    assert (claimed.ready_at, claimed.granted_at, claimed.started_at) == (NOW, later(1), later(2))


@pytest.mark.parametrize("state", STORED)
def test_only_a_running_run_ends(database: Database, state: RunState) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        ended = tx.runs.end(run.id, RunState.FAILED, later(3), 7, "exit code 7", {"Url": "x"})
    assert ended is (state is RunState.RUNNING)
    found = again(database, run)
    if not ended:
        assert found == run
        return
    assert (found.state, found.exit_code, found.message) == (RunState.FAILED, 7, "exit code 7")
    assert (found.finished_at, found.outputs) == (later(3), {"Url": "x"})


@pytest.mark.parametrize("state", STORED)
def test_a_running_run_ends_under_its_own_fence_and_no_other(
    database: Database, state: RunState
) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        assert not tx.runs.end(run.id, RunState.SUCCEEDED, later(3), 0, fence=6)
        assert not tx.runs.end(run.id, RunState.SUCCEEDED, later(3), 0, fence=8)
    assert again(database, run) == run
    with database.write() as tx:
        ended = tx.runs.end(run.id, RunState.SUCCEEDED, later(3), 0, fence=7)
    assert ended is (state is RunState.RUNNING)


@pytest.mark.parametrize("state", STORED)
def test_cancelling_ends_what_is_parked_and_names_what_had_a_place(
    database: Database, state: RunState
) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        waiting = tx.runs.cancel_parked(run.deployment_id, later(4))
    assert [r.id for r in waiting] == ([run.id] if state is RunState.WAITING else [])
    found = again(database, run)
    if state is RunState.WAITING:
        assert (found.state, found.finished_at) == (RunState.CANCELLED, later(4))
    else:
        assert found == run


@pytest.mark.parametrize("state", STORED)
def test_only_a_running_run_is_marked_to_be_cancelled(database: Database, state: RunState) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        marked = tx.runs.request_cancel(run.deployment_id, later(5))
        cancelling = tx.runs.cancelling()
    expected = [run.id] if state is RunState.RUNNING else []
    assert marked == cancelling == expected
    assert again(database, run).cancel_requested_at == (later(5) if expected else None)


def test_marking_twice_keeps_the_first_instant_and_names_it_again(database: Database) -> None:
    run = run_in(database, RunState.RUNNING)
    with database.write() as tx:
        tx.runs.request_cancel(run.deployment_id, later(5))
        assert tx.runs.request_cancel(run.deployment_id, later(6)) == [run.id]
    assert again(database, run).cancel_requested_at == later(5)


@pytest.mark.parametrize("state", STORED)
def test_only_a_pending_run_is_given_up(database: Database, state: RunState) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        tx.runs.give_up_pending(run.deployment_id, RunState.SKIPPED, later(6), step=0)
    expected = RunState.SKIPPED if state is RunState.PENDING else state
    assert again(database, run).state is expected


@pytest.mark.parametrize("state", STORED)
def test_only_a_pending_run_becomes_ready(database: Database, state: RunState) -> None:
    run = run_in(database, state)
    with database.write() as tx:
        first = tx.counters.draw(TICKET)
        tx.runs.make_ready(run.deployment_id, 0, range(first, first + 1), later(7))
    found = again(database, run)
    if state is RunState.PENDING:
        assert (found.state, found.ready_at, found.ticket) == (RunState.WAITING, later(7), first)
    else:
        assert found == run


def test_a_step_becomes_ready_with_tickets_in_the_order_of_its_machines(
    database: Database,
) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.runs.add(number, 0, [("m-2", "exclusive"), ("m-1", "shared"), ("m-3", "exclusive")])
        tx.runs.add(number, 1, [("m-1", "exclusive")])
        first = tx.counters.draw(TICKET, 3)
        ready = tx.runs.make_ready(number, 0, range(first, first + 3), NOW)
        assert [(r.machine, r.lock_mode, r.ticket) for r in ready] == [
            ("m-2", "exclusive", first),
            ("m-1", "shared", first + 1),
            ("m-3", "exclusive", first + 2),
        ]
        assert tx.runs.of_deployment(number)[-1].state is RunState.PENDING


def test_tickets_may_be_greater_than_a_small_integer_and_far_apart(database: Database) -> None:
    first, apart = 11_055_000_082, 11
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.runs.add(number, 0, [("m-1", "exclusive"), ("m-2", "exclusive")])
        ready = tx.runs.make_ready(number, 0, range(first, first + 2 * apart, apart), NOW)
        assert [run.ticket for run in ready] == [first, first + apart]


def test_giving_up_one_step_leaves_the_others(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        for position in range(3):
            tx.runs.add(number, position, [("m-1", "exclusive")])
        tx.runs.give_up_pending(number, RunState.SKIPPED, NOW, step=1)
        states = [run.state.value for run in tx.runs.of_deployment(number)]
        assert states == ["pending", "skipped", "pending"]
        tx.runs.give_up_pending(number, RunState.CANCELLED, NOW)
        states = [run.state.value for run in tx.runs.of_deployment(number)]
        assert states == ["cancelled", "skipped", "cancelled"]


def test_of_many_workers_that_claim_a_run_at_once_one_gets_it(database: Database) -> None:
    run = run_in(database, RunState.WAITING)

    def claim() -> RunRecord | None:
        with database.write() as tx:
            fence = tx.counters.draw(FENCE)
            return tx.claims.claim(run.id, f"worker-{fence}", fence, NOW, NOW)

    (winner,) = [won for won in at_once(8, claim) if won is not None]
    assert again(database, run) == winner


def test_another_attempt_waits_under_a_ticket_of_its_own(database: Database) -> None:
    failed = run_in(database, RunState.FAILED)
    with database.write() as tx:
        ticket = tx.counters.draw(TICKET)
        second = tx.runs.add_attempt(failed, ticket, later(8))
        assert tx.runs.of_deployment(failed.deployment_id) == [failed, second]
    assert (second.attempt, second.state, second.ticket) == (2, RunState.WAITING, ticket)
    assert (second.machine, second.place, second.ready_at) == (failed.machine, 0, later(8))
    assert second.id != failed.id


def test_the_same_attempt_is_never_stored_twice(database: Database) -> None:
    failed = run_in(database, RunState.FAILED)
    with database.write() as tx:
        tx.runs.add_attempt(failed, tx.counters.draw(TICKET), NOW)
    with pytest.raises(Conflict), database.write() as tx:
        tx.runs.add_attempt(failed, tx.counters.draw(TICKET), NOW)


@pytest.mark.parametrize(
    ("states", "unsuccessful"),
    [
        (["succeeded"], False),
        (["skipped"], False),
        (["running"], False),
        (["failed"], True),
        (["cancelled"], True),
        (["unknown"], True),
        (["failed", "succeeded"], False),
        (["failed", "waiting"], False),
        (["failed", "failed"], True),
    ],
)
def test_only_the_last_attempt_tells_whether_a_run_went_well(
    database: Database, states: list[str], unsuccessful: bool
) -> None:
    first = run_in(database, RunState(states[0]))
    if len(states) > 1:
        with database.write() as tx:
            second = tx.runs.add_attempt(first, tx.counters.draw(TICKET), NOW)
        with database.engine.begin() as connection:
            moved = update(step_run).where(step_run.c.id == second.id)
            connection.execute(moved.values(state=states[1]))
    with database.read() as tx:
        assert tx.runs.any_unsuccessful(first.deployment_id) is unsuccessful


def test_open_runs_are_listed_by_ticket_and_counted_until_they_end(database: Database) -> None:
    with database.write() as tx:
        deployment = add_step(tx, ["m-1", "m-2", "m-3"])
        first, second, third = tx.runs.of_step(deployment, 0)
        tx.claims.claim(second.id, "worker-1", 1, NOW, NOW)
        tx.claims.claim(third.id, "worker-1", 2, NOW, NOW)
        tx.runs.end(third.id, RunState.SUCCEEDED, NOW, 0)
        assert [r.id for r in tx.runs.open()] == [first.id, second.id]
        assert tx.runs.count_open() == 2
        assert tx.runs.still_waiting([first.id, second.id, third.id]) == {first.id}
        assert [r.id for r in tx.runs.some([third.id, first.id])] == [first.id, third.id]
        assert tx.runs.get(third.id + 1) is None


def test_a_run_of_no_deployment_cannot_be_stored(database: Database) -> None:
    with pytest.raises(Conflict), database.write() as tx:
        tx.runs.add(99, 0, [("m-1", "exclusive")])
