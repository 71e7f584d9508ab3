"""Machines that behave oddly: none of it makes a run begin twice, hang, or be told wrongly."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deployengine.domain.errors import Unreachable
from deployengine.steps.contract import Lock, Started, State, Status, Work
from deployengine.steps.errors import DiskFull, InDoubt, MachineUnfit
from deployengine.steps.ssh import agent
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import Way, way_to
from deployengine.steps.wake import Wake
from tests.steps.conftest import begin, end, lives, sshd, tickets_of
from tests.steps.gates import Gate
from tests.support.bad_network import BadNetwork
from tests.support.needs import need_root
from tests.support.sshd import SshServer, private_sshd

Fresh = Callable[..., Work]
ALONE = (Lock("machine", exclusive=True),)


def way(server: SshServer, workdir: Path | str, **more: object) -> Way:
    connection = {**server.connection(workdir, tickets=tickets_of(Path(workdir))), **more}
    return way_to("target", connection, (), lambda _set, _name: "")


def runner(server: SshServer, workdir: Path, **more: object) -> SshRunner:
    return SshRunner(SshMachine("target", lambda: way(server, workdir, **more)))


@contextmanager
def login_that(does: str, folder: Path) -> Iterator[SshServer]:
    """An sshd whose logins do something before, or in the place of, what they are asked for."""
    script = folder / "login"
    script.write_text(f'#!/bin/sh\n{does}\neval "$SSH_ORIGINAL_COMMAND"\n')
    script.chmod(0o755)
    with private_sshd(ForceCommand=str(script)) as server:
        yield server


@pytest.mark.parametrize(
    "noise",
    ["printf hi", "printf hi >&2", "echo Welcome to deployengine", "echo begun >&2"],
)
def test_whatever_a_login_prints_is_no_answer(
    tmp_path: Path, workdir: Path, fresh: Fresh, noise: str
) -> None:
    with login_that(noise, tmp_path) as server:
        ticket = begin(runner(server, workdir), fresh("echo mine"))
        assert end(ticket) == Status(State.EXITED, 0)
        assert ticket.output(0) == b"mine\n"


def test_a_start_that_tells_nothing_is_in_doubt_once_somebody_rings(
    tmp_path: Path, workdir: Path, fresh: Fresh
) -> None:
    silent = 'case $SSH_ORIGINAL_COMMAND in *" start "*) exec sleep 60 ;; esac'
    with login_that(silent, tmp_path) as server, Wake() as wake:
        wake.set()
        with pytest.raises(InDoubt, match="run-1"):
            runner(server, workdir).ticket(fresh("true")).start(wake)


def test_a_start_whose_shell_is_killed_is_tried_now_and_then_and_not_for_ever(
    tmp_path: Path, workdir: Path, fresh: Fresh
) -> None:
    count = tmp_path / "count"
    killed = f'case $SSH_ORIGINAL_COMMAND in *" start "*) echo x >> {count}; kill -9 $$ ;; esac'
    with login_that(killed, tmp_path) as server:
        ticket = runner(server, workdir, patience_seconds=1.5).ticket(fresh("true"))
        with pytest.raises(InDoubt):
            ticket.start()
    assert len(count.read_text().splitlines()) < 8


def test_once_in_doubt_nothing_else_that_goes_wrong_is_called_unbegun(
    workdir: Path, fresh: Fresh
) -> None:
    with BadNetwork(sshd().port) as network:
        known: list[Way] = []

        def find_way() -> Way:
            if known:
                raise Unreachable("the database", "somewhere")
            known.append(way(sshd(), workdir, port=network.port))
            return known[0]

        there = SshMachine("target", find_way)
        there.connect_once()
        network.cut_after(9)
        work = fresh("echo once >> journal")
        try:
            assert SshRunner(there).ticket(work).start() is Started.FIRST
        except InDoubt:
            pass
        except Unreachable:
            assert not (workdir / "journal").exists()


def test_a_script_that_has_ended_frees_its_machine_though_nobody_reads_its_output(
    workdir: Path, fresh: Fresh
) -> None:
    target = runner(sshd(), workdir)
    begin(target, fresh("dd if=/dev/zero bs=1000000 count=40 2>&-; sleep 0.2", locks=ALONE))
    other = runner(sshd(), workdir).ticket(fresh("true", fence=2, locks=ALONE))
    assert other.start(None, timedelta(seconds=30)) is Started.FIRST
    assert end(other) == Status(State.EXITED, 0)


def test_without_room_for_a_file_a_cancel_still_ends_the_script_and_a_revocation_says_no(
    tmp_path: Path, workdir: Path, fresh: Fresh, ready: Gate
) -> None:
    need_root()  # to mount
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=40", "none", str(disk)], check=True)
    try:
        target = runner(sshd(), workdir, tickets=str(disk / "tickets"))
        ticket = begin(target, fresh(f"echo $$ > {workdir}/pid; echo > ready; exec sleep 600"))
        ready.hear()
        made = 0
        try:
            while True:
                (disk / f"file-{made}").write_text("")
                made += 1
        except OSError:
            pass
        with pytest.raises(DiskFull):
            target.revoke(7)
        ticket.cancel()
        assert not lives(int((workdir / "pid").read_text()))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_of_any_name_is_one_word_there(workdir: Path, fresh: Fresh) -> None:
    odd = workdir / "it's; touch PWNED; 'x"
    odd.mkdir()
    target = runner(sshd(), odd)
    ticket = begin(target, fresh("pwd"))
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(0).decode() == f"{odd}\n"
    assert not list(Path.home().glob("PWNED"))


def test_a_damaged_agent_is_sent_along_anew(workdir: Path, fresh: Fresh) -> None:
    assert runner(sshd(), workdir).tickets() == []
    (folder,) = Path(tickets_of(workdir)).glob(".agent-*")
    (folder / "agent.sh").write_text("")
    assert end(begin(runner(sshd(), workdir), fresh("true"))) == Status(State.EXITED, 0)


def test_the_agent_of_another_version_goes_when_nobody_has_used_it_for_a_month(
    workdir: Path,
) -> None:
    tickets = Path(tickets_of(workdir))
    for name, days in (("used", 29), ("unused", 32)):
        folder = tickets / f".agent-{name}" / "tools"
        folder.mkdir(parents=True)
        then = time.time() - days * 86400
        os.utime(folder.parent, (then, then))
    runner(sshd(), workdir).tickets()
    assert sorted(each.name for each in tickets.glob(".agent-*")) == [
        f".agent-{agent.digest()}",
        ".agent-used",
    ]


def test_a_login_says_that_its_agent_is_in_use(workdir: Path) -> None:
    runner(sshd(), workdir).tickets()
    folder = Path(tickets_of(workdir)) / f".agent-{agent.digest()}"
    os.utime(folder, (0, 0))
    runner(sshd(), workdir).tickets()
    assert folder.stat().st_mtime > 0


def test_a_lock_that_the_disk_does_not_have_is_told(tmp_path: Path, workdir: Path) -> None:
    (tmp_path / "flock").write_text("#!/bin/sh\nexit 71\n")
    (tmp_path / "flock").chmod(0o755)
    with (
        login_that(f"PATH={tmp_path}:$PATH", tmp_path) as server,
        pytest.raises(MachineUnfit, match="flock cannot lock"),
    ):
        runner(server, workdir).check()


def test_a_delivery_that_is_not_taken_is_given_up(tmp_path: Path, workdir: Path) -> None:
    deaf = 'case $SSH_ORIGINAL_COMMAND in *" deliver "*) exec sleep 60 ;; esac'
    (tmp_path / "big").write_bytes(bytes(8_000_000))
    with login_that(deaf, tmp_path) as server:
        there = SshMachine("target", lambda: way(server, workdir))
        began = time.monotonic()
        with pytest.raises(MachineUnfit, match="did not answer deliver within 1 s"):
            there.ask("deliver", "0" * 64, stdin=tmp_path / "big", within=1.0)
        assert time.monotonic() - began < 20


def test_no_part_of_a_start_begins_anything(tmp_path: Path) -> None:
    """As where the connection breaks on the way; each time the machine says that it was cut."""
    sent = agent.bundle("#!/bin/sh\necho ran > here\n", {"Name": "it's\n"}, {"A": "1"})
    ends = [at for at, byte in enumerate(sent) if byte == ord("\n")]
    here = Path(agent.__file__).parents[1]
    (tmp_path / "agent").mkdir()
    for file in (here / "ssh" / "agent.sh", here / "wrapper.sh"):
        (tmp_path / "agent" / file.name).write_bytes(file.read_bytes())
    for at in ends[:-1]:
        words = ("start", str(tmp_path), str(tmp_path / "tickets"), "run-1", "1", "any", "wait")
        done = subprocess.run(
            ["sh", str(tmp_path / "agent" / "agent.sh"), *words, "022", "5", ""],
            input=sent[:at],
            capture_output=True,
            check=False,
        )
        assert b"de:fault cut" in done.stderr, sent[:at]
        assert not (tmp_path / "here").exists()
