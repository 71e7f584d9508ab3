"""Questions and answers: a run whose end is unknown waits for a person and nothing else does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import UnknownName
from deployengine.engine.answers import NothingAsked
from deployengine.engine.batch_facts import batch_report
from deployengine.engine.batches import Row
from deployengine.engine.progress import ProgressView
from deployengine.engine.questions import CHOICES, Answer, Asks
from deployengine.engine.releases import Wanted
from deployengine.engine.waits import Reason
from deployengine.persistence.counters import FENCE
from deployengine.persistence.records import RunRecord
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.steps.gates import Gate
from tests.support.engine import until
from tests.support.fakes import House
from tests.support.postgres import PostgresServer

#: Seconds after which whatever was sent must have come or be lost.
LONG = 600.0
GONE = "the script began and is gone"
TWO = [machine("qa-[1:2]", "QA")]


def asking(script: str = "true\n", name: str = "a", **more: Any) -> dict[str, Any]:
    """A step whose runs ask when their end is unknown."""
    return step(script, name, on_unknown="ask", **more)


def gone(*attempts: int) -> str:
    """A script that is gone without a word in these attempts."""
    lost = "".join(f"[ $DEPLOYENGINE_ATTEMPT = {n} ] && kill -9 0\n" for n in attempts)
    return f"{lost}echo $DEPLOYENGINE_ATTEMPT >> done\n"


def begin(house: House, number: int) -> RunRecord:
    """A worker has begun the run."""
    now = house.clock.now()
    with house.database.write() as tx:
        run = tx.claims.claim(number, "elsewhere", tx.counters.draw(FENCE), now, now)
    assert run is not None
    return run


def end(house: House, number: int, ended: RunState) -> bool:
    """The end of a run is recorded, and nobody hands on; whether it was the last of its step."""
    with house.database.write() as tx:
        now = house.clock.now()
        assert tx.runs.end(number, ended, now, None, GONE)
        run = tx.runs.get(number)
        assert run is not None
        return tx.steps.count_down(run.deployment_id, run.step, 1, now)


def lose(house: House, number: int) -> None:
    """The run has begun, its script is gone, and it asks how it ended."""
    run = begin(house, number)
    with house.database.write() as tx:
        now = house.clock.now()
        assert tx.runs.end(number, RunState.UNKNOWN, now, None, GONE)
        tx.claims.untouch([number])
        assert tx.questions.ask(number, now)
        tx.deployments.pause(run.deployment_id)
    house.handoff.exchange(leaving=[f"run-{number}"])


def answer(house: House, number: int, how: Answer, note: str = "") -> RunRecord:
    return house.answers.answer(number, how, "ann", note)


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


@pytest.fixture
def paused(house: House) -> int:
    """A deployment of two steps whose first run asks how it ended."""
    process = [asking(retries=2), step("true\n", "b")]
    house.apply(catalog(project("app", process=process), project("other", "true\n")))
    number = house.create("app").id
    house.deliver_chains()
    house.dispatcher.lose()
    lose(house, 1)
    return number


# ---- while a run asks ----


def test_a_run_that_asks_pauses_its_deployment_and_holds_nothing_but_the_task_tag(
    house: House, paused: int
) -> None:
    assert state(house, paused) == "paused"
    assert house.states(paused) == ["unknown", "pending"]
    assert house.held() == {"tag:app/QA": ([f"dep-{paused}"], [])}


def test_another_deployment_uses_the_machine_meanwhile(house: House, paused: int) -> None:
    other = house.create("other").id
    house.deliver_all()
    assert state(house, other) == "succeeded"
    assert state(house, paused) == "paused"


def test_nothing_that_comes_late_or_is_swept_moves_a_paused_deployment(
    house: House, paused: int
) -> None:
    for _ in range(3):
        house.recovery.sweep()
        house.clock.advance(LONG)
    assert house.dispatcher.quiet
    house.carry_on(paused)
    house.deliver_all()
    house.phases.finish(paused)
    assert state(house, paused) == "paused"
    assert house.states(paused) == ["unknown", "pending"]


def test_the_next_deployment_of_the_tag_waits_even_when_redis_has_lost_everything(
    house: House, paused: int
) -> None:
    second = house.create("app", "2.0").id
    house.redis.flushall()
    house.recovery.sweep()
    house.deliver_all()
    assert not house.phases.begin(second)
    house.deliver_all()
    assert (state(house, paused), state(house, second)) == ("paused", "queued")
    answer(house, 1, Answer.SUCCEEDED)
    house.deliver_all()
    assert (state(house, paused), state(house, second)) == ("succeeded", "succeeded")


def test_why_names_the_question_and_the_command(house: House, paused: int) -> None:
    for name in ("run-1", f"dep-{paused}", "rel-1"):
        (wait,) = house.waits.why(name)
        assert (wait.run, wait.reason) == ("run-1", Reason.APPROVAL)
        assert wait.label == "app 1.0 → QA · a on qa-1"
        assert wait.waits_for == (
            "an answer: how did run-1 end? "
            "(deployengine deployment answer run-1 succeeded|failed|rerun)"
        )
    answer(house, 1, Answer.FAILED)
    assert house.waits.why("run-1") == []


def test_those_who_wait_find_the_question(house: House, paused: int) -> None:
    deployments = house.queries.deployments()
    (found,) = house.queries.questions(deployments)
    assert (found.run.id, found.label) == (1, "app 1.0 → QA · a on qa-1")
    assert house.detail(paused).questions == (found,)
    answer(house, 1, Answer.RERUN)
    assert house.queries.questions(house.queries.deployments()) == []


def test_a_batch_with_a_question_is_under_way_and_nothing_of_it_counts_as_failed(
    house: House,
) -> None:
    house.apply(catalog(project("app", process=[asking()]), project("other", "true\n")))
    house.batches.run([Row(Wanted("app", "1.0")), Row(Wanted("other", "1.0"))], "nightly")
    begun = house.batches.progress("nightly")
    house.deliver_chains()
    lose(house, 1)
    house.deliver_all()
    progress = house.batches.progress("nightly", with_runs=True)
    assert progress.state == "running"
    assert not progress.ended
    (qa,) = ProgressView(house.database, house.archive, house.queries, begun).look(4).environments
    assert (qa.asking, qa.ended, qa.expected) == (1, 1, 2)
    assert qa.count(RunState.UNKNOWN) == 0
    made = batch_report(progress, house.queries, 4)
    assert made.failures == ()
    assert [e.failed for e in made.environments] == [0]
    answer(house, 1, Answer.FAILED)
    house.deliver_all()
    assert house.batches.progress("nightly").state == "failed"


# ---- answers ----


def test_said_to_have_succeeded_the_deployment_goes_on_as_if_it_had_been_seen(
    house: House, paused: int
) -> None:
    said = answer(house, 1, Answer.SUCCEEDED, "its log\n says done")
    assert (said.state, said.asks) == (RunState.SUCCEEDED, False)
    assert said.message == f"{GONE}; ann answered succeeded: its log says done"
    assert said.answered_at == house.clock.now()
    assert state(house, paused) == "running"
    house.deliver_all()
    assert state(house, paused) == "succeeded"
    assert house.states(paused) == ["succeeded", "succeeded"]
    assert house.held() == {}


def test_said_to_have_failed_it_has_whatever_retries_are_left(house: House, paused: int) -> None:
    assert answer(house, 1, Answer.FAILED).message == f"{GONE}; ann answered failed"
    house.deliver_all()
    detail = house.detail(paused)
    assert (detail.deployment.state, detail.deployment.message) == (
        "failed",
        "a step failed on qa-1",
    )
    assert house.states(paused) == ["failed", "skipped"]
    assert house.held() == {}


def test_said_to_run_again_a_further_attempt_waits_in_line_and_its_end_is_what_counts(
    house: House, paused: int
) -> None:
    first = house.create("other").id
    house.deliver_chains()  # the machine is given to the other one
    assert answer(house, 1, Answer.RERUN).state is RunState.UNKNOWN
    assert state(house, paused) == "running"
    assert house.held()["machine:qa-1"] == (["run-3"], ["run-4"])
    house.deliver_all()
    assert house.states(paused) == ["unknown", "succeeded", "succeeded"]
    assert [state(house, n) for n in (first, paused)] == ["succeeded", "succeeded"]


def test_what_the_step_touches_is_held_by_the_further_attempt_as_well(house: House) -> None:
    house.apply(catalog(project("app", process=[asking(touches=["iis"])])))
    house.create("app")
    house.deliver_chains()
    lose(house, 1)
    answer(house, 1, Answer.RERUN)
    assert house.held()["resource:qa-1/iis"] == (["run-2"], [])
    with house.database.read() as tx:
        again = tx.runs.get(2)
        assert again is not None
        assert tx.claims.in_the_way(again) == []
    house.deliver_all()
    assert state(house, 1) == "succeeded"


def test_an_attempt_after_an_answer_may_ask_again(house: House, paused: int) -> None:
    answer(house, 1, Answer.RERUN)
    house.dispatcher.lose()
    lose(house, 3)
    assert state(house, paused) == "paused"
    answer(house, 3, Answer.RERUN)
    house.deliver_all()
    assert state(house, paused) == "succeeded"
    assert house.states(paused) == ["unknown", "unknown", "succeeded", "succeeded"]


def test_the_deployment_is_paused_until_the_last_question_is_answered(house: House) -> None:
    house.apply(catalog(project("app", process=[asking(), step("true\n", "b")]), machines=TWO))
    number = house.create("app").id
    house.deliver_chains()
    house.dispatcher.lose()
    lose(house, 1)
    lose(house, 2)
    answer(house, 2, Answer.SUCCEEDED)
    assert state(house, number) == "paused"
    assert house.dispatcher.quiet
    answer(house, 1, Answer.SUCCEEDED)
    assert state(house, number) == "running"
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_other_runs_of_the_step_go_on_and_a_failure_there_waits_for_the_answer(
    house: House,
) -> None:
    process = [asking("exit 3\n"), step("true\n", "b")]
    house.apply(catalog(project("app", process=process), machines=TWO))
    number = house.create("app").id
    house.deliver_chains()
    lose(house, 1)
    house.dispatcher.granted[:] = [r for r in house.dispatcher.granted if r.run_id == 2]
    house.deliver_all()
    for _ in range(3):
        house.recovery.sweep()
        house.clock.advance(LONG)
    house.deliver_all()
    assert state(house, number) == "paused"
    assert house.states(number) == ["unknown", "failed", "pending", "pending"]
    answer(house, 1, Answer.SUCCEEDED)
    house.deliver_all()
    assert house.detail(number).deployment.message == "a step failed on qa-2"


def test_the_answer_that_comes_first_leaves_the_end_of_the_step_to_the_run_that_is_left(
    house: House,
) -> None:
    house.apply(catalog(project("app", process=[asking()]), machines=TWO))
    number = house.create("app").id
    house.deliver_chains()
    (other,) = [run for run in house.dispatcher.take_runs() if run.run_id == 2]
    lose(house, 1)
    answer(house, 1, Answer.SUCCEEDED)
    assert house.dispatcher.quiet
    house.execute(other)
    house.deliver_all()
    assert state(house, number) == "succeeded"


@pytest.mark.parametrize("how", CHOICES[Asks.END])
def test_what_an_answer_sends_and_is_lost_is_found_by_housekeeping(
    house: House, paused: int, how: Answer
) -> None:
    answer(house, 1, how)
    house.dispatcher.lose()
    house.redis.flushall()
    for _ in range(2):  # what is seen to stand still twice is sent again
        house.recovery.sweep()
        house.clock.advance(LONG)
    house.recovery.sweep()
    house.deliver_all()
    assert state(house, paused) == ("failed" if how is Answer.FAILED else "succeeded")
    assert house.held() == {}


def test_an_unknown_end_that_nobody_is_asked_about_fails_the_deployment(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    number = house.create("app").id
    house.deliver_chains()
    begin(house, 1)
    assert end(house, 1, RunState.UNKNOWN)
    house.carry_on(number)
    house.deliver_chains()
    message = house.detail(number).deployment.message
    assert message == "nobody knows how a step ended on qa-1"


# ---- what is refused ----


def test_a_second_answer_is_refused_with_the_first_one_and_changes_nothing(
    house: House, paused: int
) -> None:
    first = answer(house, 1, Answer.SUCCEEDED)
    for how in Answer:
        with pytest.raises(NothingAsked, match="run-1 was answered before and is succeeded") as no:
            answer(house, 1, how)
        assert "ann answered succeeded" in str(no.value)
        assert no.value.exit_code == 2
    assert house.queries.run(1) == first
    assert len(house.detail(paused).runs) == 2


def test_a_run_that_asks_nothing_is_not_answered(house: House, paused: int) -> None:
    with pytest.raises(NothingAsked, match="run-2 asks nothing: it is pending"):
        answer(house, 2, Answer.FAILED)
    assert house.states(paused) == ["unknown", "pending"]


def test_a_run_that_is_not_there_is_named(house: House, paused: int) -> None:
    with pytest.raises(UnknownName, match="there is no step run 'run-99'"):
        answer(house, 99, Answer.FAILED)


def test_of_several_who_answer_at_once_one_is_heard(house: House, paused: int) -> None:
    barrier = threading.Barrier(4)
    refused: list[NothingAsked] = []

    def speak() -> None:
        barrier.wait(30)
        try:
            answer(house, 1, Answer.RERUN)
        except NothingAsked as error:
            refused.append(error)

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 3
    assert house.states(paused) == ["unknown", "granted", "pending"]


def test_who_answers_while_another_answer_is_being_taken_waits_and_is_refused(
    tmp_path: Path, fake_redis: Redis, postgres_server: PostgresServer
) -> None:
    """On PostgreSQL, where the second one has seen an open question before it waits."""
    url = postgres_server.create_database()
    with House(tmp_path / "home", fake_redis, database_url=url) as house:
        house.handoff.rebuild()
        approve = {"name": "Approve", "kind": "manual", "instructions": "look at it"}
        house.apply(catalog(project("app", process=[approve])))
        number = house.create("app").id
        house.deliver_all()
        with ThreadPoolExecutor(1) as pool:
            with house.database.write() as tx:
                tx.deployments.locked(number)
                late = pool.submit(house.answers.answer, 1, Answer.ABORT, "bob")
                until(lambda: late.done() or postgres_server.somebody_waits(url), "a wait")
                tx.questions.answer(1, RunState.SUCCEEDED, house.clock.now(), "ann", "proceed")
            with pytest.raises(NothingAsked, match="was answered before and is succeeded"):
                late.result(60)
        assert house.queries.run(1).answer == "proceed"


# ---- cancel ----


def test_cancelling_closes_the_question_and_leaves_nothing_behind(
    house: House, paused: int
) -> None:
    house.deployments.cancel(paused)
    house.deliver_all()
    assert state(house, paused) == "cancelled"
    assert house.states(paused) == ["unknown", "cancelled"]
    assert house.queries.run(1).message == f"{GONE}; cancelled before anybody answered"
    assert house.held() == {}
    with pytest.raises(NothingAsked):
        answer(house, 1, Answer.RERUN)


def test_a_cancelled_deployment_with_a_question_waits_for_the_scripts_that_still_run(
    house: House,
) -> None:
    house.apply(catalog(project("app", process=[asking()]), machines=[machine("qa-[1:3]", "QA")]))
    number = house.create("app").id
    house.deliver_chains()
    house.dispatcher.lose()
    lose(house, 1)
    begin(house, 2)  # and the third waits
    house.deployments.cancel(number)
    house.deliver_chains()
    assert state(house, number) == "running"
    assert house.states(number) == ["unknown", "running", "cancelled"]
    assert end(house, 2, RunState.CANCELLED)
    house.handoff.exchange(leaving=["run-2"])
    house.carry_on(number)
    house.deliver_all()
    assert state(house, number) == "cancelled"
    assert house.held() == {}


# ---- by scripts that are gone ----


def test_a_script_that_is_gone_asks_and_runs_once_more_when_a_person_says_so(house: House) -> None:
    house.apply(catalog(project("app", process=[asking(gone(1)), step("true\n", "b")])))
    number = house.create("app").id
    house.deliver_all()
    assert (state(house, number), house.states(number)) == ("paused", ["unknown", "pending"])
    answer(house, 1, Answer.RERUN)
    house.deliver_all()
    assert house.states(number) == ["unknown", "succeeded", "succeeded"]
    assert state(house, number) == "succeeded"
    assert (house.workdir("qa-1") / "done").read_text() == "2\n"


def test_with_rerun_it_runs_again_by_itself_and_uses_no_retry_up(house: House) -> None:
    script = gone(1, 2) + "[ $DEPLOYENGINE_ATTEMPT = 4 ]\n"
    policy: dict[str, Any] = {"idempotent": True, "on_unknown": "rerun", "retries": 1}
    house.apply(catalog(project("app", process=[step(script, **policy)])))
    number = house.create("app").id
    house.deliver_all()
    assert house.states(number) == ["unknown", "unknown", "failed", "succeeded"]
    assert state(house, number) == "succeeded"
    assert house.held() == {}


def test_what_is_gone_each_time_is_run_again_three_times_and_then_fails(house: House) -> None:
    policy: dict[str, Any] = {"idempotent": True, "on_unknown": "rerun", "retries": 5}
    house.apply(catalog(project("app", process=[step(gone(*range(1, 9)), **policy)])))
    number = house.create("app").id
    house.deliver_all()
    assert house.states(number) == ["unknown"] * 4
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == (
        "failed",
        "nobody knows how a step ended on qa-1",
    )
    assert house.held() == {}


def test_a_script_that_is_gone_while_its_deployment_is_cancelled_asks_nobody(
    house: House, ready: Gate, go: Gate
) -> None:
    script = "echo > ../../../ready\nread -r _ < ../../../go\nkill -9 0\n"
    house.apply(catalog(project("app", process=[asking(script)])))
    number = house.create("app").id
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    with ThreadPoolExecutor(1) as pool:
        carried_out = pool.submit(house.execute, run)
        ready.hear()
        house.deployments.cancel(number)  # which the worker does not hear
        go.let()
        outcome = carried_out.result(30)
    assert outcome is not None
    assert outcome.state is RunState.UNKNOWN
    house.deliver_chains()
    assert (state(house, number), house.states(number)) == ("cancelled", ["unknown"])
    assert not house.queries.run(1).asks
