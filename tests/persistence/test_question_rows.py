"""Questions: which runs ask how they ended, until when, and what that does to their deployment."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import FENCE, TICKET
from deployengine.persistence.records import RunRecord
from deployengine.persistence.schema import deployment, step_run
from tests.persistence.conftest import (
    DIGEST,
    NOW,
    add_deployment,
    add_release,
    add_step,
    at_once,
    drawn,
    later,
)

STORED = [state for state in RunState if state is not RunState.GRANTED]


def ended(tx: Transaction, run: RunRecord, state: RunState = RunState.UNKNOWN) -> RunRecord:
    """The run after a worker has begun it and its end was recorded."""
    tx.claims.claim(run.id, "worker-1", tx.counters.draw(FENCE), NOW, NOW)
    assert tx.runs.end(run.id, state, later(5), None, "it is gone")
    return again(tx, run)


def again(tx: Transaction, run: RunRecord) -> RunRecord:
    """The run as it is now."""
    found = tx.runs.get(run.id)
    assert found is not None
    return found


def the_run(tx: Transaction, number: int) -> RunRecord:
    (run,) = tx.runs.of_deployment(number)
    return run


# ---- asking and answering ----


@pytest.mark.parametrize("state", STORED)
def test_manual_steps_failures_and_unknown_ends_ask_and_nothing_else_does(
    database: Database, state: RunState
) -> None:
    with database.write() as tx:
        number = add_step(tx)
    with database.engine.begin() as connection:
        connection.execute(update(step_run).values(state=state))
    with database.write() as tx:
        run = the_run(tx, number)
        asks = tx.questions.ask(run.id, later(6))
        assert asks is (state in (RunState.PENDING, RunState.FAILED, RunState.UNKNOWN))
        assert again(tx, run).asks is asks
        assert again(tx, run).asked_at == (later(6) if asks else None)


def test_a_run_asks_once_and_is_answered_once(database: Database) -> None:
    with database.write() as tx:
        run = ended(tx, the_run(tx, add_step(tx)))
        assert not tx.questions.answer(run.id, RunState.FAILED, later(7), "nobody asked")
        assert tx.questions.ask(run.id, later(6))
        assert not tx.questions.ask(run.id, later(7))
        assert tx.questions.answer(run.id, RunState.SUCCEEDED, later(8), "it is done")
        found = again(tx, run)
        assert (found.state, found.asks, found.message) == (RunState.SUCCEEDED, False, "it is done")
        assert (found.asked_at, found.answered_at) == (later(6), later(8))
        assert found.finished_at == later(5)
        assert not tx.questions.answer(run.id, RunState.FAILED, later(9), "it is not")
        assert again(tx, run) == found


def test_a_run_that_stays_unknown_after_its_answer_asks_no_more(database: Database) -> None:
    with database.write() as tx:
        run = ended(tx, the_run(tx, add_step(tx)))
        tx.questions.ask(run.id, later(6))
        assert tx.questions.answer(run.id, RunState.UNKNOWN, later(8), "run it again")
        assert not again(tx, run).asks
        assert not tx.questions.ask(run.id, later(9))
        assert not tx.questions.answer(run.id, RunState.FAILED, later(9), "too late")


def test_of_many_answers_at_once_one_is_taken(database: Database) -> None:
    with database.write() as tx:
        run = ended(tx, the_run(tx, add_step(tx)))
        tx.questions.ask(run.id, NOW)

    def answer() -> bool:
        with database.write() as tx:
            return tx.questions.answer(run.id, RunState.FAILED, later(8), "no")

    assert sorted(at_once(4, answer)) == [False, False, False, True]


def test_those_that_ask_are_found_by_deployment_until_they_are_answered(
    database: Database,
) -> None:
    with database.write() as tx:
        numbers = [add_deployment(tx, add_release(tx, f"app-{n}")) for n in range(3)]
        runs = []
        for number in numbers:
            tx.runs.add(number, 0, [("m-1", "shared"), ("m-2", "shared")])
            runs += tx.runs.make_ready(number, 0, drawn(tx, 2), NOW)
        for run in runs[:5]:
            ended(tx, run)
        for run in (runs[3], runs[0], runs[1]):
            tx.questions.ask(run.id, later(6))
        assert [r.id for r in tx.questions.asking(numbers)] == [runs[i].id for i in (0, 1, 3)]
        assert [r.id for r in tx.questions.asking([numbers[1]])] == [runs[3].id]
        assert tx.questions.asking([numbers[2]]) == []
        tx.questions.answer(runs[0].id, RunState.UNKNOWN, later(8), "again")
        assert [r.id for r in tx.questions.asking(numbers)] == [runs[i].id for i in (1, 3)]
        assert tx.questions.asking([]) == []


def test_a_run_that_asks_has_not_ended_badly_until_it_is_answered(database: Database) -> None:
    with database.write() as tx:
        number = add_step(tx)
        run = ended(tx, the_run(tx, number))
        assert tx.runs.any_unsuccessful(number)
        tx.questions.ask(run.id, later(6))
        assert not tx.runs.any_unsuccessful(number)
        tx.questions.answer(run.id, RunState.UNKNOWN, later(8), "again")
        assert tx.runs.any_unsuccessful(number)
        following = tx.runs.add_attempt(again(tx, run), tx.counters.draw(TICKET), later(9))
        assert not tx.runs.any_unsuccessful(number), "the attempt after it is what counts"
        ended(tx, following, RunState.SUCCEEDED)
        assert not tx.runs.any_unsuccessful(number)


def test_the_ends_before_an_attempt_are_those_of_its_own_machine_in_order(
    database: Database,
) -> None:
    with database.write() as tx:
        first, other = tx.runs.of_step(add_step(tx, ["m-1", "m-2"]), 0)
        assert tx.runs.ends_before(first) == []
        ended(tx, other, RunState.CANCELLED)
        second = tx.runs.add_attempt(ended(tx, first), tx.counters.draw(TICKET), NOW)
        failed = ended(tx, second, RunState.FAILED)
        third = tx.runs.add_attempt(failed, tx.counters.draw(TICKET), NOW)
        assert tx.runs.ends_before(third) == [RunState.UNKNOWN, RunState.FAILED]
        assert tx.runs.ends_before(second) == [RunState.UNKNOWN]


# ---- paused deployments ----


@pytest.mark.parametrize("state", DeploymentState)
def test_only_a_running_deployment_is_paused_and_only_a_paused_one_goes_on(
    database: Database, state: DeploymentState
) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
    for move, lawful, to in (
        ("pause", DeploymentState.RUNNING, DeploymentState.PAUSED),
        ("unpause", DeploymentState.PAUSED, DeploymentState.RUNNING),
    ):
        with database.engine.begin() as connection:
            connection.execute(update(deployment).values(state=state))
        with database.write() as tx:
            assert getattr(tx.deployments, move)(number) is (state is lawful)
            found = tx.deployments.get(number)
        assert found is not None
        assert found.state is (to if state is lawful else state)


def test_a_paused_deployment_keeps_its_task_tag_and_is_open(database: Database) -> None:
    with database.write() as tx:
        first = add_deployment(tx, add_release(tx, version="1.0"))
        second = add_deployment(tx, add_release(tx, version="2.0"))
        tx.deployments.begin(first, NOW)
        tx.deployments.pause(first)
        assert not tx.deployments.begin(second, NOW)
        waiting = tx.deployments.get(second)
        assert waiting is not None
        assert [d.id for d in tx.deployments.in_the_way(waiting)] == [first]
        assert [d.id for d in tx.deployments.open()] == [first, second]
        assert tx.deployments.open_ids() == {first, second}
        assert tx.deployments.count_open() == 2
        assert tx.deployments.newer_release_in("app", "QA", 0) is not None


def test_a_paused_deployment_with_a_later_ticket_is_in_the_way_as_well(database: Database) -> None:
    with database.write() as tx:
        first = add_deployment(tx, add_release(tx, version="1.0"))
        second = add_deployment(tx, add_release(tx, version="2.0"))
    with database.engine.begin() as connection:
        paused = update(deployment).where(deployment.c.id == second)
        connection.execute(paused.values(state=DeploymentState.PAUSED))
    with database.write() as tx:
        assert not tx.deployments.begin(first, NOW)
        waiting = tx.deployments.get(first)
        assert waiting is not None
        assert [d.id for d in tx.deployments.in_the_way(waiting)] == [second]


# ---- summaries ----


def test_questions_are_counted_by_environment_and_state(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        batch = tx.batches.add("nightly", DIGEST, [release], NOW)
        for environment in ("QA", "Staging"):
            number = add_deployment(tx, release, environment)
            tx.deployments.begin(number, NOW)
            tx.runs.add(number, 0, [("m-1", "shared"), ("m-2", "shared")])
            for run in tx.runs.make_ready(number, 0, drawn(tx, 2), NOW):
                tx.questions.ask(ended(tx, run).id, NOW)
            tx.deployments.pause(number)
        assert tx.views.asking_counts(batch) == {("QA", "unknown"): 2, ("Staging", "unknown"): 2}
        tx.questions.answer(1, RunState.SUCCEEDED, NOW, "done")
        assert tx.views.asking_counts(batch) == {("QA", "unknown"): 1, ("Staging", "unknown"): 2}
        assert tx.views.asking_counts(batch + 1) == {}


def test_what_only_a_person_saw_succeed_tells_nothing_of_how_long_runs_take(
    database: Database,
) -> None:
    with database.write() as tx:
        run = ended(tx, the_run(tx, add_step(tx)))
        tx.questions.ask(run.id, later(6))
        tx.questions.answer(run.id, RunState.SUCCEEDED, later(8), "done")
        assert tx.views.durations() == []
