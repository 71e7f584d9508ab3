"""The hosts of an ``ssh_config``, held against what OpenSSH itself makes of it (``ssh -G``)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.catalog.inventory.conftest import Beside

CONFIG = """\
# of a team

Host web1 web2
    HostName %h.example.com
    Port 2222
    IdentityFile ~/.ssh/web

Host "db 1" db1   # two words, and a comment
  hostname=10.0.0.1
  User = postgres
  ProxyJump bastion

Host web2
  User late
  Port 3333

Host bastion
  HostName bastion.example.com
  User ops

Host far
  ProxyJump inner,ops@outer:2200

Host inner
  ProxyCommand ssh -q -W %h:%p bastion

Host !web1 web* x
  User not-for-web1

Host *
  User everybody
  IdentityFile ~/.ssh/%r@%h
  ServerAliveInterval 5
"""


def openssh(file: Path, host: str) -> dict[str, str]:
    """What ssh itself says; the first of several values."""
    said = subprocess.run(
        ["ssh", "-G", "-F", str(file), host], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = {}
    for line in said.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, value)
    return found


def test_hosts_that_are_called_by_name_are_machines(beside: Beside) -> None:
    assert list(beside.machines(CONFIG, "ssh_config")) == [
        *("web1", "web2", "db 1", "db1", "bastion", "far", "inner", "x"),
    ]


@pytest.mark.parametrize("host", ["web1", "web2", "db1", "bastion", "far", "inner", "x"])
def test_a_host_is_reached_as_openssh_would(beside: Beside, host: str) -> None:
    connection = beside.connections(CONFIG, "ssh_config")[host]
    ours = {
        "hostname": connection.get("host", host),
        "port": str(connection.get("port", 22)),
        "user": connection["user"],
    }
    theirs = openssh(beside.folder / "ssh_config", host)
    assert ours == {key: theirs[key] for key in ours}
    file = theirs["identityfile"].replace("%r", theirs["user"]).replace("%h", theirs["hostname"])
    assert connection["identity_file"] == file


def test_hosts_on_the_way_are_written_out(beside: Beside) -> None:
    text = CONFIG.replace("  IdentityFile ~/.ssh/%r@%h\n", "")
    found = beside.connections(text, "ssh_config")
    assert found["db1"]["jump"] == "ops@bastion.example.com"
    assert found["inner"]["jump"] == "ops@bastion.example.com"
    assert found["far"]["jump"] == ("ops@bastion.example.com,everybody@inner,ops@outer:2200")
    assert "jump" not in found["web1"]


def test_a_host_on_the_way_with_a_key_of_its_own_is_left_to_the_workers_ssh_config(
    beside: Beside,
) -> None:
    text = (
        "Host a b\n  ProxyJump gate,ops@other\n  IdentityFile ~/.ssh/a\n"
        "Host gate\n  HostName 192.0.2.1\n  IdentityFile ~/.ssh/gate\n"
        "Host other\n  HostName 192.0.2.2\n  IdentityFile ~/.ssh/a\n"
    )
    found = beside.connections(text, "ssh_config", only=["a"])
    assert found["a"]["jump"] == "gate,ops@192.0.2.2"
    (warning,) = beside.warnings(text, "ssh_config", only=["a"])
    assert "gate on the way to a has a key of its own" in warning


def test_groups_go_by_patterns(beside: Beside) -> None:
    found = beside.machines(
        CONFIG,
        "ssh_config",
        environments={"web*": "Production", "db1": "Staging"},
        roles={"web*": "web", "db*": "db"},
        only=["web*", "db1"],
    )
    assert {host: (m["environments"], m["roles"]) for host, m in found.items()} == {
        "web1": (["Production"], ["web"]),
        "web2": (["Production"], ["web"]),
        "db1": (["Staging"], ["db"]),
    }


def test_included_files_count_where_they_are_included(beside: Beside) -> None:
    included = beside.write("more/one.conf", "User first\nHost b\n  User second\n")
    text = f"Include {included.parent}/*.conf none/*\nHost a\n  User third\nHost c\n  User fourth\n"
    assert beside.connections(text, "ssh_config") == {
        "b": {"kind": "ssh", "user": "first"},
        "a": {"kind": "ssh", "user": "first"},
        "c": {"kind": "ssh", "user": "first"},
    }
    text = f"Host a\n  Include {included}\n  Port 1\nHost c\n  User fourth\n"
    for host, connection in beside.connections(text, "ssh_config").items():
        theirs = openssh(beside.folder / "ssh_config", host)
        assert connection.get("user") == theirs["user"]
        assert connection.get("port", 22) == int(theirs["port"])


def test_match_all_ends_a_block_and_any_other_match_is_told_and_left_out(beside: Beside) -> None:
    text = "Host a\nMatch exec true\n  User x\n  SendEnv X\nMatch host a\n  SendEnv X\nMatch all\n"
    text += "  Port 1\n"
    assert beside.connections(text, "ssh_config") == {"a": {"kind": "ssh", "port": 1}}
    assert beside.warnings(text, "ssh_config") == [
        "ssh_config:2: Match: what stands below such a Match is not read, as it depends on more "
        "than names"
    ]


def test_no_command_of_a_config_is_run(beside: Beside) -> None:
    trace = beside.folder / "trace"
    text = f'Match exec "touch {trace}"\n  User x\nHost a\n  ProxyCommand touch {trace}; nc %h %p\n'
    beside.faults(text, "ssh_config")
    assert not trace.exists()


def test_what_has_no_key_in_a_catalog_is_told_once(beside: Beside) -> None:
    text = "Host a b\nHost *\n  IdentityAgent ~/agent\n  StrictHostKeyChecking accept-new\n"
    assert beside.warnings(text, "ssh_config") == [
        "ssh_config:3: IdentityAgent: there is no key for identityagent in a catalog; let the "
        "workers' ssh_config say it, which is read when a machine is reached (a, b)",
        "ssh_config:4: StrictHostKeyChecking: host keys are checked all the same: `deployengine "
        "machine trust` learns them, or name a known_hosts file under `connection` (a, b)",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Host a\n  ProxyCommand cloudflared access ssh --hostname %h\n",
         "ssh_config:2: ProxyCommand: a ProxyCommand may only be `ssh -W %h:%p"),
        ("Host a\n  ProxyCommand ssh -b 10.0.0.1 -W %h:%p bastion\n",
         "ssh_config:2: ProxyCommand: a ProxyCommand may only be `ssh -W %h:%p"),
        ("Host a\n  ProxyCommand ssh -F other -W %h:%p bastion\n",
         "ssh_config:2: ProxyCommand: a ProxyCommand may only be `ssh -W %h:%p"),
        ("Host a\n  HostName %n.example.com\n", "ssh_config:2: HostName: %n is not known here"),
        ("Host a\n  IdentityFile ${HOME}/x\n", "ssh_config:2: IdentityFile: ${HOME} is not known"),
        ("Host a\n  Port many\n", "ssh_config:2: Port: must be a whole number"),
        ('Host "a\n', "ssh_config:1: Host: the quotes do not match"),
    ],
)  # fmt: skip
def test_faults(beside: Beside, text: str, fault: str) -> None:
    assert beside.faults(text, "ssh_config")[0].startswith(fault)


def test_files_that_include_each_other_end_as_with_openssh(beside: Beside) -> None:
    file = beside.folder / "ssh_config"
    assert beside.faults(f"Include {file}\nHost a\n", "ssh_config") == [
        "ssh_config:1: Include: files include each other too deeply"
    ]


def test_hosts_on_the_way_that_lead_in_a_circle_end(beside: Beside) -> None:
    text = "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n"
    assert beside.connections(text, "ssh_config")["a"]["jump"] == "a,b"
