"""A run that asks how it ended, as people at a terminal see it and answer it."""

from __future__ import annotations

import getpass

import pytest

from deployengine.domain.deployment import RunState
from deployengine.persistence.counters import FENCE
from tests.acceptance.catalogs import SHORT, catalog, project, step
from tests.support.engine import LiveEngine, until

COMMAND = "deployengine deployment answer run-1 succeeded|failed|rerun"
GONE = "the script began and is gone"


@pytest.fixture
def asked(engine: LiveEngine) -> LiveEngine:
    """The batch ``batch`` of one release, whose run run-1 asks how it ended; no worker is there."""
    process = [step(SHORT, on_unknown="ask")]
    engine.apply(catalog(project("app", process=process)))
    engine.batch(["app"])
    services = engine.services
    services.phases.begin(1)
    services.phases.open_stage(1, 0)
    now = services.clock.now()
    with services.database.write() as tx:
        assert tx.claims.claim(1, "elsewhere", tx.counters.draw(FENCE), now, now)
        assert tx.runs.end(1, RunState.UNKNOWN, now, None, GONE)
        assert tx.questions.ask(1, now)
        assert tx.deployments.pause(1)
    services.handoff.exchange(leaving=["run-1"])
    return engine


def test_whoever_looks_finds_the_question_and_the_command(asked: LiveEngine) -> None:
    shown = asked.cli("deployment", "show", "dep-1").out
    assert "app 1.0 → QA: paused" in shown
    assert f"how did run-1 end? ({GONE})\n  {COMMAND}" in shown
    told = asked.cli("why", "dep-1").out
    assert f"waits for an answer: how did run-1 end? ({COMMAND}) (approval)" in told
    (wait,) = asked.json("why", "run-1")
    assert (wait["reason"], wait["run"], wait["holders"]) == ("approval", "run-1", [])
    (listed,) = asked.json("deployment", "list", "--state", "paused")
    assert (listed["id"], listed["state"]) == ("dep-1", "paused")
    (run,) = asked.json("deployment", "show", "dep-1")["step_runs"]
    assert (run["state"], run["answered_at"]) == ("unknown", None)
    assert run["asked_at"] is not None
    batch = asked.json("batch", "show", "batch")
    assert (batch["state"], batch["counts"]) == ("running", {"running": 1})


def test_an_answer_is_kept_with_who_gave_it_and_why(asked: LiveEngine) -> None:
    said = asked.json("deployment", "answer", "run-1", "succeeded", "--note", "its log says done")
    assert (said["run"]["id"], said["run"]["state"]) == ("run-1", "succeeded")
    who = getpass.getuser()
    assert said["run"]["message"] == f"{GONE}; {who} answered succeeded: its log says done"
    assert (said["deployment"]["id"], said["deployment"]["state"]) == ("dep-1", "running")

    again = asked.cli("deployment", "answer", "run-1", "failed")
    assert (again.code, again.out) == (2, "")
    assert "run-1 was answered before and is succeeded" in again.err
    assert len(again.err.splitlines()) == 1

    asked.worker()
    assert asked.await_end(1) == "succeeded"


def test_run_again_the_script_runs_once_more(asked: LiveEngine) -> None:
    answer = asked.cli("deployment", "answer", "run-1", "rerun")
    assert (answer.code, answer.out) == (0, "run-1: runs again; dep-1: running\n")
    asked.worker()
    assert asked.await_end(1) == "succeeded"
    assert [run.state.value for run in asked.detail(1).runs] == ["unknown", "succeeded"]
    assert [(e.event, e.attempt) for e in asked.journal("qa-1")] == [("begin", 2), ("end", 2)]


def test_whoever_waits_is_told_the_question_once_and_goes_on_waiting(asked: LiveEngine) -> None:
    file = str(asked.write("batch.csv", "app, 1.0\n"))
    waiting = asked.start("batch", "run", file, "--name", "again", "--wait")
    until(lambda: COMMAND in asked.logs(), "the question is told")
    assert waiting.poll() is None
    asked.worker()
    assert asked.cli("deployment", "answer", "run-1", "failed").code == 0
    assert waiting.wait(timeout=45) == 1
    assert asked.logs().count(COMMAND) == 1
    assert "a step failed on qa-1" in (asked.detail(1).deployment.message or "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run-9 failed", "there is no step run 'run-9'"),
        ("dep-1 failed", "run-"),
        ("run-1 maybe", "'succeeded', 'failed', 'rerun'"),
        ("run-1", "Missing argument"),
    ],
)
def test_a_wrong_answer_changes_nothing(asked: LiveEngine, arguments: str, said: str) -> None:
    answer = asked.cli("deployment", "answer", *arguments.split())
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert asked.detail(1).runs[0].asks


def test_a_paused_deployment_that_is_cancelled_asks_no_more(asked: LiveEngine) -> None:
    assert asked.cli("deployment", "cancel", "dep-1").code == 0
    asked.worker()
    assert asked.await_end(1) == "cancelled"
    assert asked.json("why", "dep-1") == []
    answer = asked.cli("deployment", "answer", "run-1", "rerun")
    assert answer.code == 2
    assert "cancelled before anybody answered" in answer.err
