"""Tickets that somebody damaged, and machines that are not fit: a clear failure, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.steps.contract import Lock, Runner, Started, State, Status, Ticket, Work
from deployengine.steps.errors import DiskFull, WorkdirUnusable
from deployengine.steps.local import LocalRunner
from tests.steps.conftest import IMPLEMENTATIONS, begin, end, leader_of, lives, tickets_of
from tests.steps.disks import fill, make_read_only, small_disk
from tests.steps.gates import Gate
from tests.steps.starter import Starter

Fresh = Callable[..., Work]
ALONE = (Lock("web", exclusive=True),)


@pytest.fixture(params=["local", "ssh"])
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


@pytest.fixture
def tickets(workdir: Path) -> Path:
    folder = Path(tickets_of(workdir))
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All that is in a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def known_of(ticket: Ticket) -> str:
    """What is known of a run whose end is not."""
    status = ticket.status()
    assert status == Status(State.UNKNOWN)
    return status.known


def truncated(tickets: Path, folder: Path) -> None:
    """The record lost its end."""
    content = (tickets / "other" / "state").read_bytes()
    (folder / "state").write_bytes(content[:-5])


def garbage(tickets: Path, folder: Path) -> None:
    """The record is something else."""
    (folder / "state").write_bytes(b"\xff\x00" * 100)


def of_another(tickets: Path, folder: Path) -> None:
    """The record is that of a run that goes on."""
    (folder / "state").write_bytes((tickets / "other" / "state").read_bytes())


def linked_record(tickets: Path, folder: Path) -> None:
    """The record is a link to that of another."""
    (folder / "state").symlink_to(tickets / "other" / "state")


def folder_as_record(tickets: Path, folder: Path) -> None:
    """The record is a folder."""
    (folder / "state").mkdir()


def pipe_as_record(tickets: Path, folder: Path) -> None:
    """The record is a pipe, from which nothing ever comes."""
    os.mkfifo(folder / "state")


def record_removed(tickets: Path, folder: Path) -> None:
    """There is an end without a beginning."""
    (folder / "exit").write_bytes(b"   0\n")


def output_without_record(tickets: Path, folder: Path) -> None:
    """There is output, but no beginning."""
    (folder / "output").write_bytes(b"hello\n")


def linked_folder(tickets: Path, folder: Path) -> None:
    """The folder is a link to that of another."""
    folder.rmdir()
    folder.symlink_to(tickets / "other")


def file_for_folder(tickets: Path, folder: Path) -> None:
    """The folder is a file."""
    folder.rmdir()
    folder.write_bytes(b"")


DAMAGES: dict[Callable[[Path, Path], None], str] = {
    truncated: "state is cut short or no record of a beginning",
    garbage: "state is cut short or no record of a beginning",
    of_another: "is the record of another ticket, 'other'",
    linked_record: "state is cut short or no record of a beginning",
    folder_as_record: "state is cut short or no record of a beginning",
    pipe_as_record: "state is cut short or no record of a beginning",
    record_removed: "state is gone, but a script has run",
    output_without_record: "state is gone, but a script has run",
    linked_folder: "is a symbolic link and not the folder of a ticket",
    file_for_folder: "is a file and not the folder of a ticket",
}


@pytest.mark.parametrize(
    ("damage", "told"), DAMAGES.items(), ids=[damage.__name__ for damage in DAMAGES]
)
def test_what_is_damaged_is_unknown_never_runs_and_harms_nobody(
    runner: Runner,
    fresh: Fresh,
    workdir: Path,
    tickets: Path,
    go: Gate,
    damage: Callable[[Path, Path], None],
    told: str,
) -> None:
    other = begin(runner, fresh("read x < go; exit 5", ticket="other"))
    mine = tickets / "mine"
    mine.mkdir()
    damage(tickets, mine)
    before = contents(tickets)
    ticket = runner.ticket(fresh("echo no > journal", ticket="mine"))
    assert ticket.start() is Started.ATTACHED
    known = known_of(ticket)
    assert told in known
    assert str(mine) in known
    assert "see on the machine what it did before it is run again" in known
    assert "\n" not in known
    ticket.cancel()
    assert contents(tickets) == before
    ticket.clean()
    assert not os.path.lexists(mine)
    assert lives(leader_of("other", workdir))
    go.let()
    assert end(other) == Status(State.EXITED, 5)
    assert not (workdir / "journal").exists()


@pytest.mark.parametrize("what", ["rubbish", "folder", "link"])
def test_an_exit_file_that_nobody_can_read_is_unknown_with_what_is_known(
    runner: Runner, fresh: Fresh, tickets: Path, what: str
) -> None:
    work = fresh("echo hello", fence=12)
    end(begin(runner, work))
    file = tickets / work.ticket / "exit"
    file.unlink()
    if what == "rubbish":
        file.write_bytes(b"0; reboot\n")
    elif what == "folder":
        file.mkdir()
    else:
        (tickets / "good").write_bytes(b"   0\n")
        file.symlink_to(tickets / "good")
    known = known_of(runner.attach(work.ticket))
    assert "with fence 12 as process " in known
    assert "wrote 6 bytes of output" in known
    assert f"{file} is damaged and tells no exit status" in known


def test_a_run_of_an_earlier_boot_is_unknown_and_says_so(
    runner: Runner, fresh: Fresh, tickets: Path
) -> None:
    work = fresh("exit 0")
    ticket = begin(runner, work)
    end(ticket)
    folder = tickets / work.ticket
    (folder / "exit").unlink()
    lines = (folder / "state").read_text().split("\n")
    lines[3] = "boot another"
    (folder / "state").write_text("\n".join(lines))
    assert "the machine was started anew since" in known_of(runner.attach(work.ticket))


def test_by_ssh_whose_folder_vanishes_is_unknown_at_once_to_who_saw_it_running(
    workdir: Path, fresh: Fresh, tickets: Path, ready: Gate, go: Gate
) -> None:
    runner = IMPLEMENTATIONS["ssh"](workdir)
    ticket = begin(runner, fresh("echo > ready; read x < go"))
    ready.hear()
    other = runner.attach("run-1")
    assert other.status() == Status(State.RUNNING)
    (tickets / "run-1").rename(tickets.parent / "elsewhere")
    assert "was removed after the script began" in known_of(other)
    go.let()
    assert end(ticket) == Status(State.UNKNOWN)


def test_whose_folder_vanishes_while_it_runs_is_unknown_to_its_follower(
    workdir: Path, fresh: Fresh, tickets: Path, ready: Gate, go: Gate
) -> None:
    runner = IMPLEMENTATIONS["local"](workdir)
    ticket = begin(runner, fresh("echo > ready; read x < go"))
    ready.hear()
    other = runner.attach("run-1")
    assert other.status() == Status(State.RUNNING)
    (tickets / "run-1").rename(tickets.parent / "elsewhere")
    assert other.status() == Status(State.RUNNING)
    # Who began it, and never looked, knows at least that.
    assert "was removed after the script began" in known_of(ticket)
    go.let()
    assert end(other) == Status(State.UNKNOWN)
    assert "is gone, and so are its processes" in known_of(other)


def test_a_work_folder_that_vanishes_under_a_script_does_not_lose_its_end(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    ticket = begin(runner, fresh(f"rm -rf '{workdir}'; echo told; exit 3"))
    assert (end(ticket), ticket.output(0)) == (Status(State.EXITED, 3), b"told\n")


def test_a_work_folder_that_vanishes_before_the_script_begins_is_named(
    runner: Runner, fresh: Fresh, workdir: Path
) -> None:
    starter = Starter(workdir, "run", 1, "", "exit 0", armed="ticket.start.before=stop")
    starter.until_stopped()
    workdir.rmdir()
    starter.go_on()
    said = starter.came_to()
    assert said.startswith(f"CannotStart: ticket run could not begin in {workdir}")
    assert "nothing ran: mend that and start it again" in said
    ticket = runner.ticket(fresh("exit 0", ticket="run"))
    assert ticket.status() == Status(State.ABSENT)
    assert ticket.start() is Started.FIRST


def test_on_a_full_disk_no_fence_is_taken_and_nothing_starts(tmp_path: Path, fresh: Fresh) -> None:
    with small_disk(tmp_path / "disk") as disk:
        runner = LocalRunner(str(tmp_path / "work"), str(disk / "tickets"))
        end(begin(runner, fresh("exit 0", fence=5, locks=ALONE)))
        other = fresh("exit 0", fence=6, locks=(Lock("db", exclusive=True),))
        fill(disk / "big")
        # Room for the script and the variables, but not for a fence.
        os.truncate(disk / "big", (disk / "big").stat().st_size - 2 * 4096)
        with pytest.raises(DiskFull, match="make room"):
            runner.ticket(other).start()
        assert runner.attach(other.ticket).status() == Status(State.ABSENT)
        (disk / "big").unlink()
        assert end(begin(runner, other)) == Status(State.EXITED, 0)


def test_on_a_read_only_disk_nothing_starts_or_is_revoked_and_tickets_can_be_read(
    tmp_path: Path, fresh: Fresh
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        tickets = disk / "tickets"
        runner = LocalRunner(str(tmp_path / "work"), str(tickets))
        done = begin(runner, fresh("echo hello"))
        end(done)
        make_read_only(disk)
        with pytest.raises(WorkdirUnusable, match=f"folder of tickets {tickets} can't be used"):
            runner.ticket(fresh("exit 0")).start()
        with pytest.raises(WorkdirUnusable, match="fence 7"):
            runner.revoke(7)
        assert (done.status(), done.output(0)) == (Status(State.EXITED, 0), b"hello\n")
        assert runner.tickets() == ["run-1"]
