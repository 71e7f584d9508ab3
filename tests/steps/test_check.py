"""Looking at a machine: what is found, what is refused, and that nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.steps.checkup import warnings_about_clock, warnings_about_room
from deployengine.steps.contract import Runner, Work
from deployengine.steps.errors import DiskFull, MachineUnfit, WorkdirUnusable
from deployengine.steps.local import LocalRunner
from tests.steps.conftest import IMPLEMENTATIONS, MAIN, begin, end, tickets_of
from tests.steps.disks import fill, make_read_only, small_disk
from tests.steps.gates import Gate

MEGABYTE = 1024 * 1024


@pytest.fixture(params=MAIN)
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def local(workdir: Path) -> LocalRunner:
    return LocalRunner(str(workdir), tickets_of(workdir))


def test_a_healthy_machine_says_what_it_is(runner: Runner) -> None:
    checkup = runner.check()
    assert os.uname().sysname in checkup.platform
    assert 0 < checkup.round_trip < 10
    assert checkup.clock_difference is not None
    assert abs(checkup.clock_difference) < 2
    assert checkup.free_bytes > 0
    assert checkup.missing == ()


def test_a_check_leaves_no_ticket_and_no_file_behind(runner: Runner, workdir: Path) -> None:
    runner.check()
    assert list(workdir.iterdir()) == []
    assert runner.tickets() == []


def test_a_check_does_not_wait_for_a_script_that_holds_the_machine(
    runner: Runner, fresh: Callable[..., Work], ready: Gate, go: Gate
) -> None:
    ticket = begin(runner, fresh("echo > ready; read x < go"))
    ready.hear()
    runner.check()
    go.let()
    assert end(ticket).exit_code == 0


def test_a_check_makes_the_folders_that_are_missing(tmp_path: Path) -> None:
    workdir = tmp_path / "a" / "machine"
    local(workdir).check()
    assert workdir.is_dir()
    assert Path(tickets_of(workdir), ".fences").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", ["work folder", "folder of tickets", "fences"])
def test_a_folder_that_cannot_be_made_is_told(workdir: Path, what: str) -> None:
    tickets = Path(tickets_of(workdir))
    if what == "work folder":
        workdir.rmdir()
        workdir.write_text("a file")
    elif what == "folder of tickets":
        tickets.write_text("a file")
    else:
        tickets.mkdir()
        (tickets / ".fences").write_text("a file")
    told = "work folder" if what == "work folder" else "folder of tickets"
    with pytest.raises(WorkdirUnusable, match=f"check: {told} .* can't be used"):
        local(workdir).check()


def test_a_disk_that_can_only_be_read_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        runner = LocalRunner(str(disk / "work"), str(tmp_path / "tickets"))
        (disk / "work").mkdir()
        make_read_only(disk)
        with pytest.raises(WorkdirUnusable, match="can't be used"):
            runner.check()


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        runner = LocalRunner(str(tmp_path / "work"), str(disk / "tickets"))
        with pytest.raises(DiskFull, match=r"only 0\.1 MB are free; make room"):
            runner.check()
        fill(disk / "big")
        with pytest.raises(DiskFull, match="make room on that disk"):
            runner.check()


def test_a_shell_that_does_not_work_is_told(workdir: Path) -> None:
    runner = LocalRunner(str(workdir), tickets_of(workdir), shell=("/nowhere/sh",))
    with pytest.raises(MachineUnfit, match="/nowhere/sh does not work"):
        runner.check()


def test_little_room_is_a_warning_and_none_is_a_fault() -> None:
    assert warnings_about_room(100 * MEGABYTE, "/t") == ()
    assert warnings_about_room(99 * MEGABYTE, "/t") == ("Only 99.0 MB are free on the disk of /t.",)
    assert warnings_about_room(MEGABYTE, "/t")
    with pytest.raises(DiskFull, match=r"/t: only 1\.0 MB are free"):
        warnings_about_room(MEGABYTE - 1, "/t")


def test_a_clock_that_is_far_off_is_a_warning() -> None:
    assert warnings_about_clock(None) == warnings_about_clock(-5.0) == ()
    assert warnings_about_clock(61.2) == ("Its clock is 61 seconds ahead of the engine's.",)
    assert warnings_about_clock(-7200) == ("Its clock is 7200 seconds behind the engine's.",)
