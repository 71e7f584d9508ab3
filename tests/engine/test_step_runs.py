"""Carrying runs out: real scripts in folders of this machine, ends on record, hand-off after."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.following import NO_ROOM
from deployengine.engine.ports import GrantedRun
from deployengine.engine.step_runs import Outcome
from deployengine.persistence.records import RunRecord
from deployengine.steps.local import LocalRunner
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.steps.disks import small_disk
from tests.steps.gates import Gate
from tests.support.fakes import House

#: The script tells that it has begun, then waits to be let go on.
HELD = "echo begun\necho > ../../../ready\nread -r _ < ../../../go\n"


def granted(house: House, script: str, **more: Any) -> GrantedRun:
    """A run of this script that may start now."""
    variables = more.pop("variables", [])
    house.apply(catalog(project("app", process=[step(script, **more)], variables=variables)))
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    return run


def stored(house: House, run: GrantedRun) -> RunRecord:
    return house.queries.run(run.run_id)


def output(house: House, run: GrantedRun) -> str:
    return "".join(text for _, text in house.queries.output(run.run_id))


@contextmanager
def under_way(house: House, run: GrantedRun) -> Iterator[Future[Outcome | None]]:
    """The run being carried out in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(house.execute, run)


def tickets_left(house: House) -> list[str]:
    folder = house.settings.home / "tickets" / "qa-1"
    return LocalRunner(str(house.workdir("qa-1")), str(folder)).tickets()


def test_a_script_that_ends_well_is_a_success_on_record(house: House) -> None:
    run = granted(house, "echo hello\n")
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)
    found = stored(house, run)
    assert (found.state, found.exit_code, found.message) == (RunState.SUCCEEDED, 0, None)
    assert (found.worker, found.fence, found.granted_at) == (house.lease.name, 1, run.granted_at)
    assert (found.started_at, found.finished_at) == (house.clock.now(), house.clock.now())
    assert output(house, run) == "hello\n"
    assert tickets_left(house) == []


def test_a_script_that_fails_is_a_failure_with_its_exit_code(house: House) -> None:
    run = granted(house, "echo no such thing >&2\nexit 7\n")
    assert house.execute(run) == Outcome(RunState.FAILED, 7, "exit code 7")
    assert stored(house, run).exit_code == 7
    assert house.queries.last_lines(run.run_id, 3) == ["no such thing"]
    house.deliver_chains()
    assert house.detail(1).deployment.state == "failed"


@pytest.mark.parametrize(("code", "state"), [(0, RunState.SUCCEEDED), (7, RunState.FAILED)])
def test_what_a_full_disk_may_have_cut_short_is_told(
    house: House, code: int, state: RunState
) -> None:
    run = granted(house, f"yes 2> /dev/null\nexit {code}\n")
    with small_disk(house.settings.home / "tickets" / "qa-1"):
        outcome = house.execute(run)
    assert outcome is not None
    assert (outcome.state, outcome.exit_code) == (state, code)
    assert (outcome.message or "").endswith(NO_ROOM)
    assert stored(house, run).message == outcome.message
    assert output(house, run).startswith("y\ny\n")


def test_a_second_execute_of_the_same_run_starts_nothing(house: House) -> None:
    run = granted(house, "echo once >> ran\n")
    assert house.execute(run) is not None
    before = stored(house, run)
    assert house.execute(run) is None
    assert stored(house, run) == before
    assert (house.workdir("qa-1") / "ran").read_text() == "once\n"


def test_a_second_execute_while_the_first_runs_starts_nothing(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as first:
        ready.hear()
        with house.neighbour() as other:
            assert other.execute(run) is None
        go.let()
        assert first.result(20) == Outcome(RunState.SUCCEEDED, 0)


def test_the_script_is_told_where_it_is(house: House) -> None:
    run = granted(house, "env | grep ^DEPLOYENGINE_ | sort\npwd\n")
    house.execute(run)
    *told, folder = output(house, run).splitlines()
    assert [line for line in told if not line.startswith("DEPLOYENGINE_TICKET_FOLDER")] == [
        "DEPLOYENGINE_ATTEMPT=1",
        "DEPLOYENGINE_DEPLOYMENT=dep-1",
        "DEPLOYENGINE_ENVIRONMENT=QA",
        "DEPLOYENGINE_MACHINE=qa-1",
        "DEPLOYENGINE_PROJECT=app",
        "DEPLOYENGINE_RELEASE=1.0",
        "DEPLOYENGINE_STEP=Install",
        "DEPLOYENGINE_TICKET=run-1",
    ]
    assert folder == str(house.workdir("qa-1"))


def test_a_run_that_may_be_retried_waits_again_as_attempt_two_behind_the_others(
    house: House,
) -> None:
    at_second = '[ "$DEPLOYENGINE_ATTEMPT" = 2 ]\n'
    house.apply(
        catalog(project("app", process=[step(at_second, retries=1)]), project("shop", "true\n"))
    )
    app, shop = house.create("app"), house.create("shop")
    house.deliver_chains()
    house.deliver_runs()
    first, second = house.detail(app.id).runs
    (others,) = house.detail(shop.id).runs
    assert (first.attempt, first.state) == (1, RunState.FAILED)
    assert (second.attempt, second.state) == (2, RunState.WAITING)
    assert first.ticket < others.ticket < second.ticket  # type: ignore[operator]
    assert not house.dispatcher.chains, "the step is not done"
    house.deliver_all()
    assert house.states(app.id) == ["failed", "succeeded"]
    assert house.detail(app.id).deployment.state == "succeeded"


def test_a_run_fails_when_its_retries_are_used_up(house: House) -> None:
    house.execute(granted(house, "exit 1\n", retries=2))
    house.deliver_all()
    assert house.states(1) == ["failed", "failed", "failed"]
    assert house.detail(1).deployment.state == "failed"
    assert house.held() == {}


def test_a_script_that_takes_too_long_is_ended_and_has_failed(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD, timeout="10m")
    with under_way(house, run) as future:
        ready.hear()
        house.clock.advance(601)
        assert future.result(20) == Outcome(RunState.FAILED, None, "timed out after 600 s")
    assert stored(house, run).message == "timed out after 600 s"
    assert output(house, run) == "begun\n"
    assert tickets_left(house) == []


def test_a_cancel_ends_the_script_and_hands_the_machine_on(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        ended = house.deployments.cancel(1)
        assert ended.state == "running", "not before its script is gone"
        assert house.held()["machine:qa-1"] == ([f"run-{run.run_id}"], [])
        assert house.dispatcher.told_cancelled == [run.run_id]
        house.step_runs.cancel(house.dispatcher.told_cancelled)
        assert future.result(20) == Outcome(RunState.CANCELLED, None, "cancelled")
    house.deliver_chains()
    assert house.detail(1).deployment.state == "cancelled"
    assert house.held() == {}
    assert output(house, run) == "begun\n"


def test_a_cancel_for_runs_that_are_elsewhere_does_nothing_here(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.cancel([run.run_id + 1, 99])
        go.let()
        assert future.result(20) == Outcome(RunState.SUCCEEDED, 0)


def test_a_cancelled_run_is_not_retried(house: House, ready: Gate, go: Gate) -> None:
    run = granted(house, HELD + "exit 1\n", retries=3)
    with under_way(house, run) as future:
        ready.hear()
        house.deployments.cancel(1)
        go.let()  # the script fails by itself before the cancel reaches it
        assert future.result(20) is not None
    house.deliver_all()
    assert len(house.detail(1).runs) == 1
    assert house.detail(1).deployment.state == "cancelled"


def test_a_variable_without_a_value_here_fails_the_run_and_is_named(
    house: House,
) -> None:
    run = _with_missing_value(house)
    outcome = house.execute(run)
    assert outcome is not None
    assert outcome.state is RunState.FAILED
    assert outcome.message is not None
    assert "no variable 'Shade' has a value here" in outcome.message
    house.deliver_all()
    assert house.states(1) == ["failed", "succeeded"]
    assert house.detail(1).deployment.state == "failed"
    assert house.held() == {}


def _with_missing_value(house: House) -> GrantedRun:
    elsewhere = {"name": "Shade", "value": "dark", "scope": {"machines": ["qa-2"]}}
    house.apply(
        catalog(
            project("app", "echo #{Shade}\n", variables=[elsewhere]),
            machines=[machine("qa-1", "QA"), machine("qa-2", "QA")],
        )
    )
    house.create("app")
    house.deliver_chains()
    return house.dispatcher.granted.pop(0)


def test_a_message_that_comes_twice_takes_nothing_from_the_run_that_it_began(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        assert house.execute(run) is None
        house.step_runs.cancel([run.run_id])
        outcome = future.result(20)
    assert outcome is not None
    assert outcome.state is RunState.CANCELLED


def test_a_script_that_empties_its_folder_ends_as_it_says(house: House) -> None:
    run = granted(house, "echo before > left\nfind . -mindepth 1 -delete\necho after\n")
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == "after\n"
    assert list(house.workdir("qa-1").iterdir()) == []


def test_a_script_that_emptied_its_folder_is_ended_whole_when_it_is_cancelled(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, "find . -mindepth 1 -delete\n" + HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.cancel([run.run_id])
        outcome = future.result(20)
    assert outcome is not None
    assert outcome.state is RunState.CANCELLED


def test_a_folder_that_cannot_be_used_fails_the_run_and_names_it(house: House) -> None:
    run = granted(house, "true\n")
    house.workdir("qa-1").parent.mkdir(parents=True)
    house.workdir("qa-1").write_text("this is a file")
    outcome = house.execute(run)
    assert outcome is not None
    assert outcome.state is RunState.FAILED
    assert str(house.workdir("qa-1")) in (outcome.message or "")
    house.deliver_chains()
    assert house.held() == {}


def test_the_output_is_complete_and_in_order_however_it_comes(
    house: House, ready: Gate, go: Gate
) -> None:
    lines = "".join(f"line {n} äöü\n" for n in range(3000))
    half = 'seq 0 1499 | while read n; do echo "line $n äöü"; done\n'
    other = 'seq 1500 2999 | while read n; do echo "line $n äöü"; done\n'
    run = granted(house, half + "echo > ../../../ready\nread -r _ < ../../../go\n" + other)
    with under_way(house, run) as future:
        ready.hear()
        go.let()
        assert future.result(30) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == lines
    ends = [stop for stop, _ in house.queries.output(run.run_id)]
    assert ends == sorted(set(ends))
    assert ends[-1] == len(lines.encode())


def test_what_has_been_printed_is_stored_while_the_script_goes_on(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, "echo early\necho > ../../../ready\nread -r _ < ../../../go\n")
    with under_way(house, run) as future:
        ready.hear()
        try:
            while output(house, run) != "early\n":
                assert not future.done(), "the run ended before its output was stored"
        finally:
            go.let()
        assert future.result(20) is not None


def test_bytes_that_are_no_text_are_kept_readable(house: House) -> None:
    run = granted(house, "printf 'a\\000b\\377c\\n'\n")
    house.execute(run)
    assert output(house, run) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\n"


SECRET = "wholly-5ecret"


def test_a_secret_is_masked_in_the_output_and_lies_nowhere_in_the_database(
    house: House,
) -> None:
    token = {"name": "Token", "value": SECRET, "sensitive": True}
    url = {"name": "Url", "value": "https://x:#{Token}@host"}
    script = 'echo #{Token} and "$(get_variable Url)"\n'
    run = granted(house, script, variables=[token, url])
    house.execute(run)
    assert output(house, run) == "******** and ********\n"
    house.database.close()
    with sqlite3.connect(house.settings.database_path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert SECRET not in dump


def test_what_a_script_sets_is_stored_with_its_run(house: House) -> None:
    run = granted(house, "set_output Url http://x\nset_output Url 'http://y z'\nset_output N 1\n")
    house.execute(run)
    assert stored(house, run).outputs == {"Url": "http://y z", "N": "1"}


def test_a_secret_that_a_script_sets_is_not_stored_in_clear(house: House) -> None:
    token = {"name": "Token", "value": SECRET, "sensitive": True}
    run = granted(house, 'set_output Said "it is $(get_variable Token)"\n', variables=[token])
    house.execute(run)
    assert SECRET not in str(stored(house, run).outputs)


def test_what_a_script_set_before_it_failed_is_stored_too(house: House) -> None:
    run = granted(house, "set_output Half done\nexit 4\n")
    house.execute(run)
    assert stored(house, run).outputs == {"Half": "done"}


def test_a_release_runs_what_it_froze_whatever_the_catalog_says_now(house: House) -> None:
    run = granted(house, "echo #{Colour}\n", variables=[{"name": "Colour", "value": "blue"}])
    house.apply(catalog(project("app", "echo nothing\n")))
    house.execute(run)
    assert output(house, run) == "blue\n"


def test_the_last_run_of_a_step_and_only_that_resumes_the_chain(house: House) -> None:
    house.apply(catalog(project("app", "true\n"), machines=[machine("qa-[1:3]", "QA")]))
    house.create("app")
    house.deliver_chains()
    resumed = []
    for run in house.dispatcher.take_runs():
        house.execute(run)
        resumed.append(len(house.dispatcher.chains))
    assert resumed == [0, 0, 1]


def test_each_claim_bears_a_newer_fence(house: House) -> None:
    house.apply(catalog(project("app", "true\n"), machines=[machine("qa-[1:3]", "QA")]))
    house.create("app")
    house.deliver_all()
    fences = [run.fence or 0 for run in house.detail(1).runs]
    assert fences == sorted(set(fences))
    assert 0 not in fences


def test_a_script_that_is_gone_without_a_word_is_unknown_and_fails_its_deployment(
    house: House, ready: Gate, go: Gate
) -> None:
    # It ends its own wrapper, as when the machine is switched off in the middle.
    run = granted(house, "kill -9 $PPID\necho > ../../../ready\n")
    outcome = house.execute(run)
    assert outcome is not None
    assert outcome.state is RunState.UNKNOWN
    assert "see what it did on the machine" in (outcome.message or "")
    house.deliver_chains()
    assert house.detail(1).deployment.state == "failed"
