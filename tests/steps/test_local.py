"""What is particular to tickets on this machine: files, processes, and what may be wrong there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine import steps
from deployengine.steps import children
from deployengine.steps.contract import Runner, Started, State, Status, Work
from deployengine.steps.errors import (
    CannotStart,
    DiskFull,
    StepError,
    WorkdirUnusable,
    WorkRefused,
)
from deployengine.steps.local import LocalRunner
from deployengine.steps.processes import look, this_boot
from deployengine.steps.ticket import parse_state
from tests.steps.conftest import IMPLEMENTATIONS, begin, end, leader_of, tickets_of, until_dead
from tests.steps.disks import fill, small_disk
from tests.steps.gates import Gate

Fresh = Callable[..., Work]
UNKNOWN = Status(State.UNKNOWN)


@pytest.fixture(params=["local", "ssh"])
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def folder_of(work: Work, workdir: Path) -> Path:
    return Path(tickets_of(workdir), work.ticket)


WORKER = """
import sys
from deployengine.steps.contract import Work
from deployengine.steps.local import LocalRunner
script = "echo before; echo > ready; read x < go; echo after; exit 6"
LocalRunner(sys.argv[1], sys.argv[1] + ".tickets").ticket(Work("orphan", 1, script)).start()
print("started", flush=True)
sys.stdin.read()
"""


def test_a_run_outlives_its_worker_and_another_picks_it_up(
    runner: Runner, workdir: Path, ready: Gate, go: Gate
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(workdir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"started\n"
        ready.hear()
        worker.kill()
    ticket = runner.attach("orphan")
    assert (ticket.status(), ticket.output(0)) == (Status(State.RUNNING), b"before\n")
    go.let()
    assert end(ticket) == Status(State.EXITED, 6)
    assert ticket.output(7) == b"after\n"


def test_no_secret_stands_on_a_command_line(
    runner: Runner, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    secret = "s3cr3t-" + "not-to-be-seen"
    script = f"password={secret}; get_variable Token; echo > ready; read x < go"
    ticket = begin(
        runner, fresh(script, environment={"TOKEN": secret}, variables={"Token": secret})
    )
    ready.hear()
    lines = [_command_line(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    assert any(b"wrapper.sh" in line for line in lines)
    assert not [line for line in lines if secret.encode() in line]
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_work_does_not_show_its_secrets() -> None:
    work = Work("t", 1, "echo s3cr3t", {"A": "s3cr3t"}, {"B": "s3cr3t"})
    assert "s3cr3t" not in repr(work)


def test_nobody_else_may_read_a_ticket_but_scripts_keep_the_workers_umask(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("set_output a b; umask", environment={"A": "b"}, variables={"x": "y"})
    ticket = begin(runner, work)
    assert end(ticket).exit_code == 0
    folder = folder_of(work, workdir)
    assert {f"{path.stat().st_mode & 0o777:o}" for path in (folder, folder.parent)} == {"700"}
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in folder.iterdir()}
    assert modes == dict.fromkeys(
        ["script", "variables", "state", "output", "outputs", "exit", "room"], "600"
    )
    mine = os.umask(0o022)
    os.umask(mine)
    assert int(ticket.output(0), 8) == mine


def test_the_engines_own_settings_stay_with_the_engine(
    workdir: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", "s3cr3t")
    monkeypatch.setenv("MINE", "kept")
    ticket = begin(
        runner,
        fresh(
            "echo $DEPLOYENGINE_MASTER_KEY$MINE$DEPLOYENGINE_STEP",
            environment={"DEPLOYENGINE_STEP": "-too"},
        ),
    )
    end(ticket)
    assert ticket.output(0) == b"kept-too\n"


def test_a_script_gets_default_signals_whatever_its_worker_ignores(
    runner: Runner, fresh: Fresh
) -> None:
    ours = {number: signal.signal(number, signal.SIG_IGN) for number in (2, 15)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        ticket = begin(runner, fresh("kill -INT $$; exit 0"))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for number, handler in ours.items():
            signal.signal(number, handler)
    assert end(ticket) == Status(State.EXITED, 130)


def test_a_script_inherits_no_open_file_of_the_engine(runner: Runner, fresh: Fresh) -> None:
    script = "for n in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n; done; exit 0"
    ticket = begin(runner, fresh(script))
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0) == b""


def test_no_zombies_are_left(runner: Runner, fresh: Fresh, workdir: Path) -> None:
    work = fresh("exit 0")
    end(begin(runner, work))
    leader = leader_of(work.ticket, workdir)
    until_dead(leader)
    children.bury()
    process = look(leader)
    assert process is None


def test_the_fence_of_the_first_start_is_recorded(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("exit 0", fence=41)
    end(begin(runner, work))
    begun = parse_state((folder_of(work, workdir) / "state").read_bytes())
    assert begun is not None
    assert begun.fence == 41


def test_a_start_that_died_half_way_is_healed_by_the_next(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("echo whole")
    folder = folder_of(work, workdir)
    folder.mkdir(parents=True)
    (folder / "script").write_text("echo ha")
    assert runner.attach(work.ticket).status() == Status(State.ABSENT)
    ticket = begin(runner, work)
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0) == b"whole\n"


def test_a_wrapper_that_comes_second_says_so_and_touches_nothing(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("echo once; exit 4")
    ticket = begin(runner, work)
    end(ticket)
    folder = folder_of(work, workdir)
    wrapper = Path(steps.__file__).parent / "wrapper.sh"
    words = (wrapper, folder, workdir, 2, "0022", "/bin/sh", folder / "script")
    assert children.spawn(("/bin/sh", *map(str, words)), {}) == b"attached\n"
    assert (ticket.status(), ticket.output(0)) == (Status(State.EXITED, 4), b"once\n")


def test_a_script_without_its_wrapper_counts_as_running_until_it_ends(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    work = fresh("echo > ready; read x < go; exit 0")
    ticket = begin(runner, work)
    ready.hear()
    os.kill(leader_of(work.ticket, workdir), signal.SIGKILL)
    until_dead(leader_of(work.ticket, workdir))
    assert ticket.status() == Status(State.RUNNING)
    go.let()
    assert end(ticket) == UNKNOWN


def test_begun_with_all_processes_gone_and_no_end_is_unknown_and_not_started_again(
    runner: Runner, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    work = fresh("echo > ready; echo once >> journal; read x < go; exit 0")
    ticket = begin(runner, work)
    ready.hear()
    os.killpg(leader_of(work.ticket, workdir), signal.SIGKILL)
    assert end(ticket) == UNKNOWN
    assert runner.ticket(work).start() is Started.ATTACHED
    ticket.cancel()
    assert ticket.status() == UNKNOWN


@pytest.mark.parametrize("content", [b"", b"0", b"zero\n", b"0\n0\n", b"999\n", b"-1\n"])
def test_a_damaged_end_is_unknown(
    runner: Runner, fresh: Fresh, workdir: Path, content: bytes
) -> None:
    work = fresh("exit 0")
    end(begin(runner, work))
    (folder_of(work, workdir) / "exit").write_bytes(content)
    assert end(runner.attach(work.ticket)) == UNKNOWN


def test_a_damaged_record_of_the_beginning_is_unknown(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    work = fresh("exit 0")
    folder = folder_of(work, workdir)
    folder.mkdir(parents=True)
    (folder / "state").write_text("fence 1\nboot")
    assert runner.attach(work.ticket).status() == UNKNOWN
    assert runner.ticket(work).start() is Started.ATTACHED


@pytest.mark.parametrize("what", ["time", "boot"])
def test_a_stranger_with_the_number_of_a_gone_process_is_neither_followed_nor_killed(
    runner: Runner, fresh: Fresh, workdir: Path, what: str
) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as stranger:
        stat = Path(f"/proc/{stranger.pid}/stat").read_text().split()
        boot = "another" if what == "boot" else this_boot()
        stat[21] = stat[21] if what == "boot" else str(int(stat[21]) - 1)
        work = fresh("exit 0")
        folder = folder_of(work, workdir)
        folder.mkdir(parents=True)
        (folder / "state").write_text(f"fence 1\nboot {boot}\nstat {' '.join(stat)}\nend\n")
        ticket = runner.attach(work.ticket)
        assert ticket.status() == UNKNOWN
        ticket.cancel()
        assert stranger.poll() is None
        stranger.kill()


def test_a_missing_work_folder_is_made(tmp_path: Path, fresh: Fresh) -> None:
    runner = LocalRunner(str(tmp_path / "a" / "b c"), tickets_of(tmp_path / "t"))
    assert end(begin(runner, fresh("pwd > here"))) == Status(State.EXITED, 0)
    assert (tmp_path / "a/b c/here").exists()


@pytest.mark.parametrize("where", ["file", "file/below", "loop"])
def test_a_work_folder_that_cannot_be_is_named_with_what_to_do(
    tmp_path: Path, fresh: Fresh, where: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(WorkdirUnusable) as caught:
        LocalRunner(str(tmp_path / where), tickets_of(tmp_path / "t")).ticket(
            fresh("exit 0")
        ).start()
    message = str(caught.value)
    assert str(tmp_path / where) in message
    assert "or name another in the catalog" in message
    assert "\n" not in message


def test_a_work_folder_must_be_absolute() -> None:
    with pytest.raises(WorkdirUnusable, match="machines/qa"):
        LocalRunner("machines/qa", "/tickets")


def test_a_script_that_fills_the_disk_has_its_end_recorded(tmp_path: Path, fresh: Fresh) -> None:
    with small_disk(tmp_path / "disk") as disk:
        ticket = begin(
            LocalRunner(str(disk), str(disk / "tickets")), fresh("cat /dev/zero > big; exit 3")
        )
        assert end(ticket) == Status(State.EXITED, 3)


def test_on_a_full_disk_nothing_runs_and_the_same_start_works_when_there_is_room(
    tmp_path: Path, fresh: Fresh
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        work = fresh("echo ran")
        fill(disk / "big")
        runner = LocalRunner(str(disk), str(disk / "tickets"))
        with pytest.raises(DiskFull, match="make room"):
            runner.ticket(work).start()
        # Room for the script and the variables, but not for the wrapper's record.
        os.truncate(disk / "big", (disk / "big").stat().st_size - 2 * 4096)
        with pytest.raises(CannotStart, match="no room"):
            runner.ticket(work).start()
        assert runner.attach(work.ticket).status() == Status(State.ABSENT)
        (disk / "big").unlink()
        assert end(begin(runner, work)) == Status(State.EXITED, 0)


def test_an_environment_too_large_for_a_process_says_what_to_use_instead(
    runner: Runner, fresh: Fresh
) -> None:
    with pytest.raises(CannotStart, match="get_variable"):
        runner.ticket(fresh("exit 0", environment={"BIG": "x" * 200_000})).start()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "-r", "a b", "a\n", "é", "x" * 128])
def test_ticket_names_that_are_unsafe_as_folders_are_refused(runner: Runner, name: str) -> None:
    with pytest.raises(WorkRefused):
        Work(name, 1, "exit 0")
    with pytest.raises(StepError):
        runner.attach(name)


@pytest.mark.parametrize(
    "parts",
    [
        {"script": "a\0b"},
        {"environment": {"A": "\0"}},
        {"environment": {"A=B": "c"}},
        {"environment": {"": "c"}},
        {"variables": {"A": "\0"}},
    ],
)
def test_what_no_process_can_be_given_is_refused_at_once(
    fresh: Fresh, parts: dict[str, object]
) -> None:
    with pytest.raises(WorkRefused):
        fresh(**{"script": "exit 0", **parts})
