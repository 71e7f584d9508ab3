"""What every implementation of the contract keeps, tried with real processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deployengine.steps.contract import Runner, Started, State, Status, Ticket, Work
from deployengine.steps.errors import StillRunning
from deployengine.steps.processes import look
from deployengine.steps.wake import Wake
from tests.steps.conftest import IMPLEMENTATIONS, PATIENCE, begin, end, tickets_of
from tests.steps.disks import small_disk
from tests.steps.gates import Gate, until

Fresh = Callable[..., Work]


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def exited(code: int) -> Status:
    return Status(State.EXITED, code)


def lives(pid_file: Path) -> bool:
    process = look(int(pid_file.read_text()))
    return process is not None and process.alive


def test_a_run_that_nobody_started_is_absent(runner: Runner) -> None:
    ticket = runner.attach("nobody")
    assert ticket.status() == ticket.wait(PATIENCE) == Status(State.ABSENT)
    assert (ticket.output(0), ticket.outputs()) == (b"", {})


def test_a_script_runs_in_the_work_folder_with_its_environment(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    ticket = begin(runner, fresh('pwd; echo "$A|$code"', environment={"A": "a\n'b", "code": "c"}))
    assert end(ticket) == exited(0)
    assert ticket.output(0) == f"{workdir}\na\n'b|c\n".encode()


def test_a_script_whose_output_fills_its_disk_says_so_with_its_end(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    with small_disk(Path(tickets_of(workdir)), kib=256):
        before = end(begin(runner, fresh("exit 4")))
        ticket = begin(runner, fresh("cat /dev/zero; exit 3"))
        ended = end(ticket)
        looked_at = runner.attach("run-2").status()
        ticket.clean()
        after = end(begin(runner, fresh("exit 5")))
    assert (before, before.disk_full) == (exited(4), False)
    assert (ended, ended.disk_full) == (exited(3), True)
    assert (looked_at, looked_at.disk_full) == (exited(3), True)
    assert (after, after.disk_full) == (exited(5), False)


def test_a_ticket_whose_end_was_recorded_before_room_was_asked_for_is_not_full(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    ticket = begin(runner, fresh("exit 4"))
    end(ticket)
    Path(tickets_of(workdir), "run-1", "room").unlink()
    status = runner.attach("run-1").status()
    assert (status, status.disk_full) == (exited(4), False)


def test_stdout_and_stderr_come_in_the_order_of_writing_and_stdin_is_empty(
    runner: Runner, fresh: Fresh
) -> None:
    ticket = begin(runner, fresh("echo 1; echo 2 >&2; cat; echo 3"))
    assert end(ticket) == exited(0)
    assert ticket.output(0) == b"1\n2\n3\n"
    assert ticket.output(2, limit=3) == b"2\n3"
    assert ticket.output(6) == b""


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_of_the_script_is_recorded(runner: Runner, fresh: Fresh, code: int) -> None:
    assert end(begin(runner, fresh(f"exit {code}"))) == exited(code)


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), ("KILL", 137), ("INT", 130)])
def test_death_by_a_signal_is_recorded_as_128_and_its_number(
    runner: Runner, fresh: Fresh, signal: str, code: int
) -> None:
    ticket = begin(runner, fresh(f"kill -{signal} $$; exec sleep 600"))
    assert end(ticket) == exited(code)
    assert ticket.output(0) == b""


def test_a_script_that_signals_its_whole_group_still_has_its_end_recorded(
    runner: Runner, fresh: Fresh
) -> None:
    assert end(begin(runner, fresh("trap 'trap - TERM; kill 0' EXIT; exit 5"))) == exited(143)


def test_a_hash_bang_line_names_the_interpreter(runner: Runner, fresh: Fresh) -> None:
    bash = begin(runner, fresh('#!/bin/bash -e\nx=(a b); echo "${x[1]}"; false; echo no'))
    assert (end(bash), bash.output(0)) == (exited(1), b"b\n")


def test_a_missing_interpreter_fails_the_run_and_is_named(runner: Runner, fresh: Fresh) -> None:
    ticket = begin(runner, fresh("#!/nowhere/fish\necho no"))
    assert end(ticket) == exited(127)
    assert b"/nowhere/fish" in ticket.output(0)


def test_started_again_by_any_handle_and_with_any_fence_it_still_runs_once(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("echo once >> journal")
    with ThreadPoolExecutor(8) as threads:
        works = [replace(work, fence=fence) for fence in range(8)]
        came = list(threads.map(lambda each: runner.ticket(each).start(), works))
    assert sorted(each.name for each in came) == ["ATTACHED"] * 7 + ["FIRST"]
    assert end(runner.attach(work.ticket)) == exited(0)
    assert runner.ticket(work).start() is Started.ATTACHED
    assert (workdir / "journal").read_text() == "once\n"


def test_output_can_be_read_on_while_the_script_runs(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh("printf one; echo > ready; read x < go; printf two"))
    ready.hear()
    assert ticket.status() == Status(State.RUNNING)
    until(lambda: ticket.output(0) == b"one", "what was written does not come")
    go.let()
    assert end(ticket) == exited(0)
    assert ticket.output(3) == b"two"


def test_a_wait_ends_when_its_time_is_up(runner: Runner, fresh: Fresh, go: Gate) -> None:
    ticket = begin(runner, fresh("read x < go"))
    assert ticket.wait(timedelta(milliseconds=20)) == Status(State.RUNNING)
    go.let()
    assert end(ticket) == exited(0)


def test_one_bell_ends_all_waits_and_the_scripts_run_on(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    with Wake() as wake, ThreadPoolExecutor(4) as threads:
        tickets = [begin(runner, fresh("read x < go")) for _ in range(4)]
        waits = [threads.submit(ticket.wait, PATIENCE, wake) for ticket in tickets]
        wake.set()
        assert {wait.result(5) for wait in waits} == {Status(State.RUNNING)}
        for _ in tickets:
            go.let()
        wake.clear()
        assert {ticket.wait(PATIENCE, wake) for ticket in tickets} == {exited(0)}


def test_cancelling_ends_the_whole_group_and_leaves_services_alone(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    script = """
    echo $$ > script
    setsid sh -c 'echo $$ > service; echo > ready; read x < go' &
    sh -c 'sh -c "echo \\$\\$ > grandchild; echo > ready; exec sleep 600"; true' &
    wait
    """
    ticket = begin(runner, fresh(script))
    for _ in range(2):
        ready.hear()
    ticket.cancel()
    assert ticket.status() == exited(143)
    assert not lives(workdir / "script")
    assert not lives(workdir / "grandchild")
    assert lives(workdir / "service")
    go.let()


def test_what_ignores_term_is_killed_after_the_grace(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    script = "trap '' TERM; echo $$ > script; echo > ready; read x < go; read x < go"
    ticket = begin(runner, fresh(script, grace=timedelta(milliseconds=50)))
    ready.hear()
    ticket.cancel()
    assert not lives(workdir / "script")
    assert ticket.status() == exited(137)
    ticket.cancel()
    assert ticket.status() == exited(137)


def test_a_script_may_use_its_grace_to_tidy_up(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(
        runner, fresh("trap 'echo tidied; exit 9' TERM; echo > ready; read x < go; read x < go")
    )
    ready.hear()
    waiting = threading.Thread(target=end, args=(ticket,))
    waiting.start()
    ticket.cancel()
    waiting.join(10)
    assert not waiting.is_alive()
    assert (ticket.status(), ticket.output(0)) == (exited(9), b"tidied\n")


def test_cancelling_what_ended_by_itself_changes_nothing(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh("(echo > ready; read x < go) & echo $! > left; exit 4"))
    assert end(ticket) == exited(4)
    ready.hear()
    ticket.cancel()
    assert ticket.status() == exited(4)
    assert lives(workdir / "left")
    go.let()


def test_a_run_that_was_cancelled_before_its_start_never_runs(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("echo no > journal")
    runner.attach(work.ticket).cancel()
    late = runner.ticket(work)
    assert late.start() is Started.ATTACHED
    assert late.wait(PATIENCE) == exited(143)
    assert not (workdir / "journal").exists()


def test_background_processes_that_hold_the_output_do_not_keep_the_run_open(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    ticket = begin(runner, fresh("(read x < go; echo late) & echo early"))
    assert end(ticket) == exited(0)
    assert ticket.output(0) == b"early\n"
    go.let()


def test_another_handle_reads_what_the_first_began(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    work = fresh("echo hello; set_output Url http://x; echo > ready; read x < go; exit 3")
    begin(runner, work)
    other: Ticket = runner.attach(work.ticket)
    ready.hear()
    assert (other.status(), other.output(0)) == (Status(State.RUNNING), b"hello\n")
    assert other.outputs() == {"Url": "http://x"}
    go.let()
    assert end(other) == exited(3)


def test_cleaning_leaves_nothing_of_the_ticket_and_may_be_repeated(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    ticket = begin(runner, fresh("set_output a b", variables={"x": "y"}))
    end(ticket)
    ticket.clean()
    ticket.clean()
    assert ticket.status() == Status(State.ABSENT)
    left = [each.name for each in Path(tickets_of(workdir)).iterdir()]
    assert [name for name in left if not name.startswith((".agent-", ".fences"))] == []
    assert list(workdir.iterdir()) == []


def test_a_ticket_that_nobody_needs_any_more_is_gone_soon(runner: Runner, fresh: Fresh) -> None:
    ticket = begin(runner, fresh("true"))
    end(ticket)
    ticket.clean_soon()
    until(lambda: ticket.status() == Status(State.ABSENT), "it is still there")


def test_a_running_ticket_is_not_cleaned_away(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh("echo > ready; read x < go; exit 2"))
    ready.hear()
    with pytest.raises(StillRunning):
        ticket.clean()
    go.let()
    assert end(ticket) == exited(2)
