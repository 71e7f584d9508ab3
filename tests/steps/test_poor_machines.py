"""Machines that lack something, and users that may do little: what works, and what is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from deployengine.steps.contract import Lock, Started, State, Status, Work
from deployengine.steps.errors import DiskFull, MachineUnfit, WorkdirUnusable
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import way_to
from tests.steps.conftest import begin, end, lives, tickets_of
from tests.steps.disks import fill, small_disk
from tests.steps.gates import Gate
from tests.support.fleet import host_user, uid_of
from tests.support.needs import need_root
from tests.support.sshd import SshServer, private_sshd, tool

Fresh = Callable[..., Work]
ALONE = (Lock("machine", exclusive=True),)


@pytest.fixture(autouse=True)
def _root() -> None:
    """Only root can make such machines."""
    need_root()


def runner(server: SshServer, workdir: Path, **more: object) -> SshRunner:
    connection = {**server.connection(workdir, tickets=tickets_of(workdir)), **more}
    way = way_to("target", connection, (), lambda _set, _name: "")
    return SshRunner(SshMachine("target", lambda: way))


@pytest.fixture
def bare() -> Iterator[SshServer]:
    """A machine without flock, setsid and sha256sum: they are covered up where sshd sees them."""
    covered = [tool(name) for name in ("flock", "setsid", "sha256sum", "shasum", "openssl")]
    hide = "; ".join(f"mount --bind /dev/null {program}" for program in covered)
    with private_sshd(within=[tool("unshare"), "-m", "sh", "-c", f'{hide}; exec "$@"', "sh"]) as it:
        yield it


def test_a_machine_says_what_it_lacks_and_what_follows_from_that(
    bare: SshServer, workdir: Path
) -> None:
    checkup = runner(bare, workdir).check()
    assert checkup.missing == ("flock", "setsid", "sha256sum")
    assert any("two starts in the same instant" in warning for warning in checkup.warnings)


def test_without_flock_a_start_waits_for_whoever_holds_the_machine_by_the_records(
    bare: SshServer, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    target = runner(bare, workdir)
    first = begin(target, fresh("echo > ready; read x < go", locks=ALONE))
    ready.hear()
    second = target.ticket(fresh("echo second", fence=2, locks=ALONE))
    assert second.start(None, timedelta(milliseconds=50)) is Started.CALLED_OFF
    go.let()
    assert end(first) == Status(State.EXITED, 0)
    assert second.start() is Started.FIRST
    assert end(second) == Status(State.EXITED, 0)
    assert second.output(0) == b"second\n"


def test_without_setsid_a_cancelled_script_ends_itself(
    bare: SshServer, workdir: Path, fresh: Fresh, ready: Gate
) -> None:
    ticket = begin(runner(bare, workdir), fresh("echo $$ > pid; echo > ready; exec sleep 600"))
    ready.hear()
    ticket.cancel()
    assert ticket.wait(timedelta(seconds=10)) == Status(State.EXITED, 143)
    assert not lives(int((workdir / "pid").read_text()))


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[tuple[SshServer, str]]:
    """A machine whose user may become another one without a password, and that other one."""
    tool("sudo")
    with ExitStack() as stack:
        server = stack.enter_context(private_sshd())
        place = server.folder
        number = os.getpid() % 100000
        user = stack.enter_context(host_user(f"de-a{number}", place / "a"))
        other = stack.enter_context(host_user(f"de-b{number}", place / "b"))
        rule = Path(f"/etc/sudoers.d/deployengine-test-{number}")
        rule.write_text(f"{user} ALL=({other}) NOPASSWD: ALL\n")
        rule.chmod(0o440)
        stack.callback(rule.unlink)
        yield SshServer(server.port, place, user, server.process), other


def test_scripts_run_as_the_user_that_they_are_to_become(
    somebody: tuple[SshServer, str], fresh: Fresh
) -> None:
    server, other = somebody
    home = server.folder / "b" / "home"
    target = runner(server, Path("work"), become=other)
    ticket = begin(target, fresh('id -un; pwd; echo "$A"; echo x > made', environment={"A": "b c"}))
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0).decode() == f"{other}\n{home}/work\nb c\n"
    assert uid_of(home / "work" / "made") == other
    ticket.clean()
    assert target.tickets() == []


def test_a_sudo_that_asks_for_a_password_is_told(somebody: tuple[SshServer, str]) -> None:
    server, _ = somebody
    with pytest.raises(MachineUnfit, match=r"sudo: a password is required; .*NOPASSWD"):
        runner(server, Path("work"), become="root").tickets()


def test_on_a_full_disk_nothing_runs_and_the_same_start_works_when_there_is_room(
    tmp_path: Path, workdir: Path, fresh: Fresh
) -> None:
    with private_sshd() as server, small_disk(tmp_path / "disk") as disk:
        target = runner(server, workdir, tickets=str(disk / "tickets"))
        assert target.tickets() == []
        fill(disk / "big")
        work = fresh("echo once >> journal", locks=ALONE)
        with pytest.raises(DiskFull, match=r"machine target: ticket run-1: .* no room"):
            target.ticket(work).start()
        assert not (workdir / "journal").exists()
        (disk / "big").unlink()
        assert end(begin(target, work)) == Status(State.EXITED, 0)
        assert (workdir / "journal").read_text() == "once\n"


def test_a_disk_without_room_for_the_agent_is_told(tmp_path: Path, workdir: Path) -> None:
    with private_sshd() as server, small_disk(tmp_path / "disk") as disk:
        fill(disk / "big")
        with pytest.raises(DiskFull, match=r"machine target: .* no room"):
            runner(server, workdir, tickets=str(disk / "tickets")).tickets()


def test_a_script_that_fills_the_disk_has_its_end_recorded(tmp_path: Path, fresh: Fresh) -> None:
    with private_sshd() as server, small_disk(tmp_path / "disk") as disk:
        target = runner(server, disk / "work", tickets=str(disk / "tickets"))
        ticket = begin(target, fresh("cat /dev/zero > big; exit 3"))
        assert end(ticket) == Status(State.EXITED, 3)


@pytest.mark.parametrize("key", ["workdir", "tickets"])
def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, key: str) -> None:
    (tmp_path / "file").write_text("")
    wrong = {"workdir": tmp_path / "w", "tickets": tmp_path / "t", key: tmp_path / "file" / "x"}
    with private_sshd() as server:
        target = runner(server, wrong["workdir"], tickets=str(wrong["tickets"]))
        with pytest.raises(WorkdirUnusable, match=r"machine target: .*/file/x"):
            target.check()
