"""Logging in to machines: which keys and hosts are trusted, and what is said when one is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployengine.steps.contract import State, Status, Work
from deployengine.steps.errors import MachineUnfit, MachineUnreachable
from deployengine.steps.ssh import show_host_key
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import Way, way_to
from tests.steps.conftest import end, sshd, tickets_of
from tests.support.engine import until
from tests.support.sshd import (
    SshServer,
    fingerprint,
    free_port,
    make_key,
    private_sshd,
)

SECRETS = {"phrase": "open sesame", "wrong": "close sesame"}


def runner(server: SshServer, workdir: Path, *left_out: str, **more: object) -> SshRunner:
    """The way to a server by what its connection says; secrets by the names of variables."""
    return SshRunner(SshMachine("target", lambda: way(server, workdir, *left_out, **more)))


def way(server: SshServer, workdir: Path, *left_out: str, **more: object) -> Way:
    connection = server.connection(workdir, tickets=tickets_of(workdir), **more)
    for key in left_out:
        del connection[key]
    learned = connection.pop("learned", ())
    assert isinstance(learned, tuple)
    return way_to("target", connection, learned, lambda _set, name: SECRETS[name])


def secret(name: str) -> dict[str, str]:
    return {"set": "Infra", "variable": name}


def gets_in(target: SshRunner) -> bool:
    return target.tickets() == []


def known_hosts(server: SshServer, path: Path, key: Path | None = None) -> Path:
    """A file that knows the server's key, or says that it has another one."""
    text = (key or server.folder / "host_key.pub").read_text().rsplit(" ", 1)[0]
    path.write_text(f"[127.0.0.1]:{server.port} {text}\n")
    return path


def test_a_pinned_host_key_lets_in(workdir: Path) -> None:
    assert gets_in(runner(sshd(), workdir))


def test_a_pinned_host_key_of_any_kind_lets_in(workdir: Path, tmp_path: Path) -> None:
    rsa = make_key(tmp_path / "rsa", "rsa")
    ecdsa = make_key(tmp_path / "ecdsa", "ecdsa")
    keys = f"{sshd().folder / 'host_key'}\nHostKey {rsa}\nHostKey {ecdsa}"
    with private_sshd(HostKey=keys) as server:
        for key in (rsa, ecdsa):
            pinned = fingerprint(key.with_suffix(".pub"))
            assert gets_in(runner(server, workdir, host_key=[pinned]))


def test_another_host_key_than_the_pinned_one_is_refused_and_both_are_told(workdir: Path) -> None:
    pinned = "SHA256:" + "a" * 43
    with pytest.raises(MachineUnreachable) as told:
        runner(sshd(), workdir, host_key=[pinned]).tickets()
    assert str(told.value).startswith("machine target: 127.0.0.1:")
    assert sshd().host_key in str(told.value)
    assert pinned in str(told.value)
    assert "nothing was sent" in str(told.value)


def test_a_host_that_nobody_vouched_for_is_refused_and_says_what_to_do(workdir: Path) -> None:
    with pytest.raises(MachineUnreachable, match="say: machine trust target"):
        runner(sshd(), workdir, "host_key", known_hosts=os.devnull).tickets()


def test_a_key_that_was_learned_lets_in_and_any_other_does_not(
    workdir: Path, tmp_path: Path
) -> None:
    shown = show_host_key(way(sshd(), workdir, "host_key"))
    assert shown.fingerprint == sshd().host_key
    assert shown.algorithm == "ssh-ed25519"
    assert gets_in(runner(sshd(), workdir, "host_key", learned=(shown.public_key,)))
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    with pytest.raises(MachineUnreachable, match=r"is not the one that was learned.*--replace"):
        runner(sshd(), workdir, "host_key", learned=(other,)).tickets()


def test_a_known_host_lets_in_and_one_that_changed_does_not(workdir: Path, tmp_path: Path) -> None:
    known = known_hosts(sshd(), tmp_path / "known")
    assert gets_in(runner(sshd(), workdir, "host_key", known_hosts=str(known)))
    other = make_key(tmp_path / "other").with_suffix(".pub")
    changed = known_hosts(sshd(), tmp_path / "changed", other)
    with pytest.raises(MachineUnreachable, match="is not the one that known_hosts has"):
        runner(sshd(), workdir, "host_key", known_hosts=str(changed)).tickets()


def test_an_ssh_config_is_followed_but_does_not_turn_the_check_of_host_keys_off(
    workdir: Path, tmp_path: Path
) -> None:
    server = sshd()
    config = tmp_path / "config"
    lines = f"Host shortname\n HostName 127.0.0.1\n Port {server.port}\n User {server.user}\n"
    lines += f" IdentityFile {server.identity_file}\n StrictHostKeyChecking no\n"
    left_out = ("host", "port", "user", "identity_file")
    config.write_text(f"{lines} UserKnownHostsFile none\n")
    found = {"host": "shortname", "config": str(config)}
    connection = {"kind": "ssh", "workdir": str(workdir), "tickets": tickets_of(workdir), **found}

    def to(**more: object) -> SshRunner:
        there = way_to("target", {**connection, **more}, (), lambda _set, _name: "")
        return SshRunner(SshMachine("target", lambda: there))

    with pytest.raises(MachineUnreachable, match="nobody has vouched"):
        to().tickets()
    assert gets_in(to(host_key=[server.host_key]))
    assert left_out


def test_a_refused_login_names_the_user_and_what_to_look_at(workdir: Path, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(MachineUnreachable, match=f"refuses the login of {sshd().user}; .*authoriz"):
        runner(sshd(), workdir, identity_file=str(stranger)).tickets()


def test_a_missing_key_file_is_told(workdir: Path) -> None:
    with pytest.raises(MachineUnreachable, match="/nowhere/key cannot be used"):
        runner(sshd(), workdir, identity_file="/nowhere/key").tickets()


def test_a_missing_ssh_config_is_told_and_not_the_key_that_is_there(workdir: Path) -> None:
    with pytest.raises(MachineUnreachable, match="/none/config cannot be used"):
        runner(sshd(), workdir, config="/none/config").tickets()


def test_a_host_that_is_not_there_is_told_in_one_line(workdir: Path) -> None:
    with pytest.raises(MachineUnreachable, match="Connect") as told:
        runner(sshd(), workdir, port=free_port()).tickets()
    assert "\n" not in str(told.value)
    with pytest.raises(MachineUnreachable, match="no host has that name"):
        runner(sshd(), workdir, host="no-such-host.invalid").tickets()


def test_a_locked_key_opens_with_the_passphrase_from_the_secret_store(
    workdir: Path, tmp_path: Path
) -> None:
    locked = make_key(tmp_path / "identity", passphrase=SECRETS["phrase"])
    with private_sshd(AuthorizedKeysFile=f"{locked}.pub") as server:
        given = {"identity_file": str(locked)}
        assert gets_in(runner(server, workdir, **given, passphrase=secret("phrase")))
        for more in ({}, {"passphrase": secret("wrong")}):
            with pytest.raises(MachineUnreachable, match="passphrase") as told:
                runner(server, workdir, **given, **more).tickets()
            assert "sesame" not in str(told.value)
        SECRETS["identity"] = locked.read_text()
        by_store = {"identity": secret("identity"), "passphrase": secret("phrase")}
        assert gets_in(runner(server, workdir, "identity_file", **by_store))


def test_a_way_shows_no_secret(workdir: Path) -> None:
    SECRETS["identity"] = "PRIVATE"
    given = {kind: secret("phrase") for kind in ("passphrase", "password")}
    shown = repr(way(sshd(), workdir, identity=secret("identity"), **given))
    assert "sesame" not in shown
    assert "PRIVATE" not in shown


def test_the_keys_of_an_agent_are_used(
    workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))
        subprocess.run(["ssh-add", "-q", str(sshd().identity_file)], check=True)
        assert gets_in(runner(sshd(), workdir, "identity_file"))
    finally:
        agent.terminate()
        agent.wait()


def test_a_jump_host_is_gone_through_and_its_key_checked(workdir: Path, tmp_path: Path) -> None:
    bastion = sshd()
    with private_sshd(AuthorizedKeysFile=f"{bastion.identity_file}.pub") as server:
        known = known_hosts(bastion, tmp_path / "known")
        given = {
            "identity_file": str(bastion.identity_file),
            "jump": f"{bastion.user}@127.0.0.1:{bastion.port}",
        }
        assert gets_in(runner(server, workdir, **given, known_hosts=str(known)))
        said = f"machine target: on the way there: nobody .*{bastion.port}.*put it into known_hosts"
        with pytest.raises(MachineUnreachable, match=said):
            runner(server, workdir, **given, known_hosts=os.devnull).tickets()


def test_machines_behind_one_jump_host_share_one_login_there(workdir: Path, tmp_path: Path) -> None:
    with private_sshd(MaxStartups="2:100:2") as bastion:
        keys = f"{bastion.identity_file}.pub"
        with private_sshd(AuthorizedKeysFile=keys) as server:
            known = known_hosts(bastion, tmp_path / "known")
            through = {
                "identity_file": str(bastion.identity_file),
                "jump": f"127.0.0.1:{bastion.port}",
                "known_hosts": str(known),
            }
            machines = [
                SshMachine(f"m{n}", lambda: way(server, workdir, **through)) for n in range(12)
            ]
            with ThreadPoolExecutor(12) as threads:
                assert all(threads.map(lambda each: gets_in(SshRunner(each)), machines))
                machines[0].close()
                assert gets_in(SshRunner(machines[0])), "the others' share is still there"
                assert bastion.log.count("Accepted publickey") == 1
                list(threads.map(SshMachine.close, machines))
            until(lambda: "Disconnected from user" in bastion.log, "nobody needs it any more")
            assert gets_in(SshRunner(machines[0]))
            machines[0].close()


def test_a_jump_host_that_cannot_be_reached_is_told_to_each_and_tried_again(
    workdir: Path, tmp_path: Path
) -> None:
    port = free_port()
    with private_sshd() as server:
        machines = [
            SshMachine(f"m{n}", lambda: way(server, workdir, jump=f"127.0.0.1:{port}"))
            for n in range(3)
        ]
        for each in machines:
            with pytest.raises(MachineUnreachable, match=f"on the way there: 127.0.0.1:{port}"):
                SshRunner(each).tickets()


def test_a_jump_host_that_is_reached_by_way_of_itself_is_told(
    workdir: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  ProxyJump 127.0.0.1:2\n")
    target = runner(sshd(), workdir, config=str(config))
    with pytest.raises(MachineUnreachable, match=r"127\.0\.0\.1:2 leads through it"):
        target.tickets()


def test_more_scripts_at_once_than_one_connection_takes_get_others(
    workdir: Path, fresh: Callable[..., Work]
) -> None:
    target = runner(sshd(), workdir)
    tickets = [target.ticket(fresh("read x < go")) for _ in range(32)]
    os.mkfifo(workdir / "go")
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda each: each.start(), tickets))
        with (workdir / "go").open("w") as go:
            go.write("x\n" * 32)
            go.flush()
            assert {end(each) for each in tickets} == {Status(State.EXITED, 0)}


def test_what_a_login_prints_is_not_taken_for_output(
    workdir: Path, tmp_path: Path, fresh: Callable[..., Work]
) -> None:
    (tmp_path / "noise").write_text("echo welcome; echo 'de:fault full' >&2; echo deployengineer\n")
    script = f'. {tmp_path / "noise"}; eval "$SSH_ORIGINAL_COMMAND"'
    (tmp_path / "noisy").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "noisy").chmod(0o755)
    with private_sshd(ForceCommand=str(tmp_path / "noisy")) as server:
        ticket = runner(server, workdir).ticket(fresh("echo mine"))
        ticket.start()
        assert end(ticket) == Status(State.EXITED, 0)
        assert ticket.output(0) == b"mine\n"


def test_a_login_without_a_shell_is_told(workdir: Path) -> None:
    with (
        private_sshd(ForceCommand="echo This account is not available.") as server,
        pytest.raises(MachineUnfit, match="machine target: its login runs no /bin/sh"),
    ):
        runner(server, workdir).tickets()
