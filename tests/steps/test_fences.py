"""What a machine keeps by itself, whatever the engine believes: locks, fences, revoked starts."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deployengine.steps.contract import Lock, OnStale, Runner, Started, State, Status, Work
from deployengine.steps.errors import MachineUnfit, StaleFence
from deployengine.steps.processes import look
from deployengine.steps.wake import Wake
from tests.steps.conftest import (
    IMPLEMENTATIONS,
    MAIN,
    PATIENCE,
    begin,
    end,
    leader_of,
    lives,
    tickets_of,
    until_dead,
)
from tests.steps.gates import Gate, until
from tests.steps.starter import Starter, locks_of

Fresh = Callable[..., Work]

EXCLUSIVE = locks_of("exclusive:web")
SHARED = locks_of("shared:web")
SHORT = timedelta(milliseconds=20)
WAITING = "echo > ready; read x < go"


@pytest.fixture(params=MAIN)
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def fences_of(workdir: Path) -> Path:
    return Path(tickets_of(workdir), ".fences")


def is_free(file: Path) -> bool:
    """Whether nobody holds the lock file."""
    with file.open("rb+") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Waits for something to be logged."""
    until(lambda: text in caplog.text, f"{text!r} was not logged")


def test_the_machine_is_locked_as_long_as_the_script_lives(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh(WAITING, locks=EXCLUSIVE))
    ready.hear()
    (file,) = fences_of(workdir).iterdir()
    assert not is_free(file)
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)
    assert begin(runner, fresh("exit 0", fence=2, locks=EXCLUSIVE))


def test_what_a_script_leaves_behind_does_not_keep_the_machine(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    script = "(echo > ready; read x < go) & echo $! > left; exit 0"
    end(begin(runner, fresh(script, locks=EXCLUSIVE)))
    ready.hear()
    ticket = begin(runner, fresh("exit 0", fence=2, locks=EXCLUSIVE))
    assert end(ticket) == Status(State.EXITED, 0)
    assert lives(int((workdir / "left").read_text()))
    go.let()


def test_a_script_does_not_inherit_its_locks(runner: Runner, fresh: Fresh) -> None:
    script = "for n in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n; done; exit 0"
    many = locks_of(",".join(f"shared:{n}" for n in range(6)))
    ticket = begin(runner, fresh(script, locks=many))
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0) == b""


def test_shared_ones_run_together_and_an_exclusive_one_waits_for_all_of_them(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    shared = [begin(runner, fresh(WAITING, locks=SHARED)) for _ in range(2)]
    alone = runner.ticket(fresh("exit 0", fence=2, locks=EXCLUSIVE))
    with ThreadPoolExecutor(1) as threads:
        for ticket in shared:
            assert alone.start(patience=SHORT) is Started.CALLED_OFF
            assert alone.status() == Status(State.ABSENT)
            if ticket is shared[-1]:
                waiting = threads.submit(alone.start)
            go.let()
        assert waiting.result(20) is Started.FIRST
    assert [end(ticket).state for ticket in shared] == [State.EXITED] * 2


def test_a_shared_one_waits_for_an_exclusive_one(runner: Runner, fresh: Fresh, go: Gate) -> None:
    begin(runner, fresh("read x < go", locks=EXCLUSIVE))
    assert runner.ticket(fresh("exit 0", locks=SHARED)).start(patience=SHORT) is Started.CALLED_OFF
    begin(runner, fresh("exit 0", locks=locks_of("exclusive:db")))
    go.let()


def test_a_set_of_locks_is_taken_as_a_whole_or_not_at_all(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    begin(runner, fresh("read x < go", locks=locks_of("shared:machine,exclusive:z")))
    both = fresh("exit 0", locks=locks_of("exclusive:a,shared:machine,shared:z"))
    assert runner.ticket(both).start(patience=SHORT) is Started.CALLED_OFF
    begin(runner, fresh("exit 0", locks=locks_of("shared:machine,exclusive:a")))
    go.let()


def test_a_bell_calls_a_waiting_start_off(
    runner: Runner, fresh: Fresh, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deployengine.steps")
    holder = fresh("read x < go", locks=EXCLUSIVE)
    begin(runner, holder)
    ticket = runner.ticket(fresh("exit 0", fence=2, locks=EXCLUSIVE))
    with Wake() as wake, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ticket.start, wake)
        until_logged(caplog, f"waits on its machine for {holder.ticket} (fence 1)")
        wake.set()
        assert waiting.result(10) is Started.CALLED_OFF
    assert ticket.status() == Status(State.ABSENT)
    go.let()


def test_a_newcomer_may_end_the_older_ones_that_are_in_its_way(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    # Their scripts must be there: what TERM meets of a wrapper before that is ended by KILL.
    script = "echo > ready; exec sleep 60"
    older = [begin(runner, fresh(script, fence=n, locks=SHARED)) for n in (1, 2)]
    for _ in older:
        ready.hear()
    aside = begin(runner, fresh("read x < go", locks=locks_of("shared:db")))
    newer = fresh("exit 0", fence=3, locks=EXCLUSIVE, on_stale=OnStale.TERMINATE)
    assert end(begin(runner, newer)) == Status(State.EXITED, 0)
    assert [ticket.status() for ticket in older] == [Status(State.EXITED, 143)] * 2
    assert aside.status() == Status(State.RUNNING)
    go.let()


def test_a_newcomer_ends_an_older_one_whose_wrapper_was_killed(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate
) -> None:
    work = fresh("echo > ready; exec sleep 60", locks=EXCLUSIVE)
    begin(runner, work)
    ready.hear()
    os.kill(leader_of(work.ticket, workdir), signal.SIGKILL)
    until_dead(leader_of(work.ticket, workdir))
    newer = fresh("exit 0", fence=2, locks=EXCLUSIVE, on_stale=OnStale.TERMINATE)
    assert end(begin(runner, newer)) == Status(State.EXITED, 0)
    assert runner.attach(work.ticket).status() == Status(State.EXITED, 137)


def test_an_older_one_is_ended_with_the_grace_that_it_was_promised(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    script = f"trap '' TERM; {WAITING}; read x < go"
    older = begin(runner, fresh(script, locks=EXCLUSIVE, grace=timedelta(milliseconds=50)))
    ready.hear()
    newer = fresh("exit 0", fence=2, locks=SHARED, on_stale=OnStale.TERMINATE)
    assert end(begin(runner, newer)) == Status(State.EXITED, 0)
    assert older.status() == Status(State.EXITED, 137)


def test_a_newcomer_does_not_end_one_with_a_higher_fence(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    other = begin(runner, fresh("read x < go", fence=3, locks=SHARED))
    ours = fresh("exit 0", fence=2, locks=EXCLUSIVE, on_stale=OnStale.TERMINATE)
    assert runner.ticket(ours).start(patience=SHORT) is Started.CALLED_OFF
    assert other.status() == Status(State.RUNNING)
    go.let()


@pytest.mark.parametrize("locks", [EXCLUSIVE, SHARED], ids=["exclusive", "shared"])
def test_a_fence_older_than_that_of_an_exclusive_holder_is_refused(
    runner: Runner, fresh: Fresh, workdir: Path, locks: tuple[Lock, ...]
) -> None:
    end(begin(runner, fresh("exit 0", fence=10, locks=EXCLUSIVE)))
    late = runner.ticket(fresh("echo no > journal", fence=9, locks=locks))
    with pytest.raises(StaleFence, match="fence 9 is out of date: web has seen 10"):
        late.start()
    assert late.status() == Status(State.ABSENT)
    assert not (workdir / "journal").exists()
    assert begin(runner, fresh("exit 0", fence=10, locks=locks))


def test_an_old_fence_is_refused_at_once_though_the_machine_is_held(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    begin(runner, fresh("read x < go", fence=10, locks=EXCLUSIVE))
    with pytest.raises(StaleFence):
        runner.ticket(fresh("exit 0", fence=9, locks=SHARED)).start()
    go.let()


def test_shared_ones_may_come_in_any_order_of_their_fences(runner: Runner, fresh: Fresh) -> None:
    for fence in (5, 4, 6, 3):
        begin(runner, fresh("exit 0", fence=fence, locks=SHARED))
    assert begin(runner, fresh("exit 0", fence=4, locks=EXCLUSIVE))


def test_one_of_two_starters_is_first_and_the_other_attaches(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("echo once >> journal", locks=EXCLUSIVE)
    together = threading.Barrier(4)

    def start(_: int) -> str:
        ticket = runner.ticket(work)
        together.wait()
        return ticket.start().name

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(start, range(4))) == ["ATTACHED"] * 3 + ["FIRST"]
    assert end(runner.attach(work.ticket)) == Status(State.EXITED, 0)
    assert (workdir / "journal").read_text() == "once\n"


def test_more_locks_than_can_be_handed_over_hold_the_machine_alone(
    runner: Runner, fresh: Fresh, go: Gate
) -> None:
    many = locks_of("shared:machine," + ",".join(f"shared:{n}" for n in range(7)))
    begin(runner, fresh("read x < go", fence=5, locks=many))
    neighbour = fresh("exit 0", fence=4, locks=locks_of("shared:machine"))
    assert runner.ticket(neighbour).start(patience=SHORT) is Started.CALLED_OFF
    go.let()
    # It was alone, but is no exclusive holder: those that were granted with it may be older.
    assert end(begin(runner, neighbour)) == Status(State.EXITED, 0)
    end(begin(runner, fresh("exit 0", fence=9, locks=locks_of("shared:machine,exclusive:6"))))
    with pytest.raises(StaleFence, match="6 has seen 9"):
        runner.ticket(replace(neighbour, ticket="late", locks=many)).start()


@pytest.mark.parametrize("resource", ["", "..", "a/b", "a b\n", "é", "\udcff", "x" * 300])
def test_any_name_of_a_resource_has_a_lock_of_its_own(
    runner: Runner, fresh: Fresh, go: Gate, resource: str
) -> None:
    alone = (Lock(resource, exclusive=True),)
    begin(runner, fresh("read x < go", locks=alone))
    assert (
        runner.ticket(fresh("exit 0", fence=2, locks=alone)).start(patience=SHORT)
        is Started.CALLED_OFF
    )
    begin(runner, fresh("exit 0", locks=(Lock(resource + "x", exclusive=True),)))
    go.let()


@pytest.mark.parametrize(
    ("first", "second"), [("shared", "exclusive"), ("exclusive", "shared")], ids=str
)
def test_a_script_keeps_the_machine_even_when_its_wrapper_was_killed(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate, first: str, second: str
) -> None:
    work = fresh(WAITING, locks=locks_of(f"{first}:web"))
    ticket = begin(runner, work)
    ready.hear()
    os.kill(leader_of(work.ticket, workdir), signal.SIGKILL)
    until_dead(leader_of(work.ticket, workdir))
    other = runner.ticket(fresh("exit 0", fence=2, locks=locks_of(f"{second}:web")))
    assert other.start(patience=SHORT) is Started.CALLED_OFF
    go.let()
    assert end(ticket).state is State.UNKNOWN
    assert other.start() is Started.FIRST


def test_a_damaged_fence_is_told_and_nothing_starts(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    end(begin(runner, fresh("exit 0", fence=7, locks=EXCLUSIVE)))
    (file,) = fences_of(workdir).iterdir()
    file.write_bytes(b"rubbish")
    ticket = runner.ticket(fresh("exit 0", fence=8, locks=EXCLUSIVE))
    with pytest.raises(MachineUnfit, match="then remove that file"):
        ticket.start()
    assert ticket.status() == Status(State.ABSENT)
    file.unlink()
    assert ticket.start() is Started.FIRST


def test_a_revoked_start_begins_nothing_and_leaves_no_folder(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    runner.revoke(4)
    runner.revoke(4)
    with pytest.raises(StaleFence, match="fence 4 was revoked"):
        runner.ticket(fresh("exit 0", fence=4)).start()
    assert runner.tickets() == []
    assert begin(runner, fresh("exit 0", fence=5))


def test_revoking_what_has_begun_lets_it_run_on(runner: Runner, fresh: Fresh, go: Gate) -> None:
    ticket = begin(runner, fresh("read x < go", fence=4))
    runner.revoke(4)
    assert ticket.status() == Status(State.RUNNING)
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)


def test_markers_go_with_the_next_exclusive_start_on_the_machine(
    runner: Runner, workdir: Path, fresh: Fresh
) -> None:
    for fence in (1, 2, 10):
        runner.revoke(fence)
    end(begin(runner, fresh("true", fence=7, locks=locks_of("shared:machine,exclusive:web"))))
    assert markers(workdir) == {"revoked-1", "revoked-2", "revoked-10"}
    end(begin(runner, fresh("true", fence=8, locks=locks_of("exclusive:machine"))))
    assert markers(workdir) == {"revoked-10"}
    with pytest.raises(StaleFence):
        runner.ticket(fresh("true", fence=2, locks=locks_of("shared:machine"))).start()


def markers(workdir: Path) -> set[str]:
    return {path.name for path in fences_of(workdir).glob("revoked-*")}


LATE = [("", False), ("shared:web", False), ("exclusive:web", True)]


@pytest.mark.parametrize(("locks", "waits"), LATE, ids=["free", "shared", "exclusive"])
def test_a_start_that_was_stopped_before_its_spawn_begins_nothing_when_its_run_is_over(
    workdir: Path, fresh: Fresh, locks: str, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deployengine.steps")
    runner = IMPLEMENTATIONS["local"](workdir)
    script = "echo ran >> journal"
    late = Starter(workdir, "run", 1, locks, script, armed="ticket.start.before=stop")
    late.until_stopped()
    runner.revoke(1)
    ticket = runner.ticket(fresh(script, ticket="run", fence=2, locks=locks_of(locks)))
    assert ticket.status() == Status(State.ABSENT)
    with ThreadPoolExecutor(1) as threads:
        rightful = threads.submit(ticket.start)
        if waits:  # the stopped process has the machine; nobody can take it from there
            until_logged(caplog, "waits on its machine for another start")
            late.go_on()
        assert rightful.result(20) is Started.FIRST
    assert end(ticket) == Status(State.EXITED, 0)
    if not waits:
        ticket.clean()
        late.go_on()
    assert late.came_to().startswith("StaleFence: ticket run: its fence 1 was revoked")
    assert (workdir / "journal").read_text() == "ran\n"
    ticket.clean()
    assert runner.tickets() == []


def test_a_revoked_start_takes_its_record_back_before_the_rightful_one(
    workdir: Path, fresh: Fresh
) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    late = Starter(workdir, "run", 1, "", "echo late", armed="ticket.start.before=stop")
    late.until_stopped()
    runner.revoke(1)
    late.go_on()
    assert late.came_to().startswith("StaleFence")
    ticket = runner.ticket(fresh("echo rightful", ticket="run", fence=2))
    assert ticket.status() == Status(State.ABSENT)
    assert ticket.start() is Started.FIRST
    end(ticket)
    assert ticket.output(0) == b"rightful\n"


def test_a_record_that_is_taken_back_leads_to_absent_for_whoever_saw_it(workdir: Path) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    late = Starter(workdir, "run", 1, "", "echo late", armed="ticket.state.after=stop")
    follower = runner.attach("run")
    until(lambda: follower.status() == Status(State.RUNNING), "nothing began")
    wrapper = leader_of("run", workdir)
    until(lambda: (process := look(wrapper)) is not None and process.state == "T", "it runs on")
    runner.revoke(1)
    os.kill(wrapper, signal.SIGCONT)
    assert follower.wait(PATIENCE) == Status(State.ABSENT)
    assert late.came_to().startswith("StaleFence")
    assert follower.status() == Status(State.ABSENT)
    follower.cancel()
    assert follower.status() == Status(State.EXITED, 143)


def test_a_rightful_start_waits_until_a_revoked_one_has_taken_its_record_back(
    workdir: Path, fresh: Fresh
) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    late = Starter(workdir, "run", 1, "", "echo late", armed="ticket.state.after=stop")
    until(lambda: runner.attach("run").status().state is State.RUNNING, "nothing began")
    wrapper = leader_of("run", workdir)
    until(lambda: (process := look(wrapper)) is not None and process.state == "T", "it runs on")
    runner.revoke(1)
    ticket = runner.ticket(fresh("echo rightful", ticket="run", fence=2))
    assert ticket.start(patience=SHORT) is Started.CALLED_OFF
    with ThreadPoolExecutor(1) as threads:
        rightful = threads.submit(ticket.start)
        os.kill(wrapper, signal.SIGCONT)
        assert rightful.result(20) is Started.FIRST
    assert late.came_to().startswith("StaleFence")
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0) == b"rightful\n"


def test_a_start_whose_folder_was_cleaned_away_begins_nothing(workdir: Path) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    starter = Starter(workdir, "run", 1, "", "echo > journal", armed="ticket.start.before=stop")
    starter.until_stopped()
    runner.attach("run").clean()
    starter.go_on()
    assert starter.came_to().startswith("CannotStart: ticket run could not begin")
    assert not (workdir / "journal").exists()
    assert runner.tickets() == []


def test_the_machine_is_free_again_when_a_starter_was_killed(workdir: Path, fresh: Fresh) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    work = fresh("exit 0", locks=EXCLUSIVE)
    starter = Starter(
        workdir, work.ticket, 1, "exclusive:web", "exit 0", armed="ticket.start.before=kill"
    )
    assert starter.came_to() == ""
    assert end(begin(runner, work)) == Status(State.EXITED, 0)


def test_a_running_script_tells_for_how_long_by_the_machines_clock(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh(WAITING))
    ready.hear()
    before = runner.attach("run-1").status().seconds
    assert ticket.wait(timedelta(milliseconds=50)) == Status(State.RUNNING)
    after = ticket.status().seconds
    assert before is not None
    assert after is not None
    assert 0 <= before < after < 20
    go.let()
    assert end(ticket).seconds is None


def test_all_tickets_of_the_machine_are_told_even_those_cleaned_half_way(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    assert runner.tickets() == []
    for name in ("b", "a", "half"):
        end(begin(runner, fresh("exit 0", ticket=name, fence=3, locks=EXCLUSIVE)))
    tickets = Path(tickets_of(workdir))
    (tickets / "half").rename(tickets / "half~")
    (tickets / "half~/state").unlink()
    assert runner.tickets() == ["a", "b", "half"]
    for name in runner.tickets():
        runner.attach(name).clean()
    assert runner.tickets() == []
    left = {path.name for path in tickets.iterdir() if not path.name.startswith(".agent-")}
    assert left == {".fences"}
