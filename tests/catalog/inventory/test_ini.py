"""Ansible's inventories in INI: groups, ranges, variables, and which of them win."""

from __future__ import annotations

import pytest

from tests.catalog.inventory.conftest import Beside

THIRTY = """\
# thirty web servers behind a bastion, and what they need

bastion ansible_host=192.0.2.1

[web]
web[01:15].example.com
web[16:30].example.com:2222

[db]   # two of them
db-[a:b] ansible_user=postgres

; comments may begin like this, too
[production:children]
backend
web

[backend:children]
db

[production:vars]
ansible_user = deploy
ansible_port=22
http_port = 8080
ansible_ssh_common_args='-o ProxyJump=ops@192.0.2.1 -o ControlPersist=60s'

[backend:vars]
ansible_become=true
"""


def test_thirty_hosts_come_with_their_groups_as_roles_and_what_their_groups_say(
    beside: Beside,
) -> None:
    found = beside.machines(THIRTY, environments={"production": "Production"}, only=["production"])
    assert list(found) == [
        *(f"web{n:02}.example.com" for n in range(1, 31)),
        *("db-a", "db-b"),
    ]
    assert found["web01.example.com"] == {
        "name": "web01.example.com",
        "environments": ["Production"],
        "roles": ["web"],
        "connection": {
            "kind": "ssh",
            "port": 22,
            "user": "deploy",
            "jump": "ops@192.0.2.1",
            "workdir": "deployengine/web01.example.com",
        },
    }
    assert found["web30.example.com"]["connection"]["port"] == 2222
    assert found["db-a"] == {
        "name": "db-a",
        "environments": ["Production"],
        "roles": ["db", "backend"],
        "connection": {
            "kind": "ssh",
            "port": 22,
            "user": "postgres",
            "jump": "ops@192.0.2.1",
            "become": "root",
            "workdir": "deployengine/db-a",
        },
    }


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("web[01:03]", ["web01", "web02", "web03"]),
        ("web[1:9:4].x", ["web1.x", "web5.x", "web9.x"]),
        ("web[:2]", ["web0", "web1", "web2"]),
        ("[a:b]-[1:2]x", ["a-1x", "a-2x", "b-1x", "b-2x"]),
        ("2001:db8::1", ["2001:db8::1"]),
    ],
)
def test_ranges_are_those_of_ansible(beside: Beside, written: str, names: list[str]) -> None:
    assert list(beside.machines(f"{written}\n")) == names


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("web1:2222", "web1", 2222),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222),
        ("web[1:1]x:2222", "web1x", 2222),
        ("web1:2222 ansible_port=22", "web1", 22),
    ],
)
def test_a_port_may_stand_behind_a_host(beside: Beside, written: str, host: str, port: int) -> None:
    assert beside.connections(f"{written}\n") == {host: {"kind": "ssh", "port": port}}


def test_an_inner_group_wins_over_the_outer_one_and_a_host_over_both(beside: Beside) -> None:
    text = """\
        [all:vars]
        ansible_user=of-all
        [outer:vars]
        ansible_user=of-outer
        ansible_port=1
        [inner:vars]
        ansible_user=of-inner
        [outer:children]
        inner
        [inner]
        a
        b ansible_user=of-itself
        [outer]
        c
        [other]
        d
        """
    assert beside.connections(text) == {
        "a": {"kind": "ssh", "user": "of-inner", "port": 1},
        "b": {"kind": "ssh", "user": "of-itself", "port": 1},
        "c": {"kind": "ssh", "user": "of-outer", "port": 1},
        "d": {"kind": "ssh", "user": "of-all"},
    }


def test_of_groups_side_by_side_the_last_by_name_wins_or_the_one_with_priority(
    beside: Beside,
) -> None:
    text = "[b]\nx\n[a]\nx\n[a:vars]\nansible_user=a\n[b:vars]\nansible_user=b\n"
    assert beside.connections(text)["x"]["user"] == "b"
    text += "[a:vars]\nansible_group_priority=10\n"
    assert beside.connections(text)["x"]["user"] == "a"


def test_values_are_read_as_ansible_reads_them(beside: Beside) -> None:
    text = """\
        a ansible_user="dep loy" ansible_port=022
        b ansible_user='#1' # a comment
        [g]
        c
        [g:vars]
        ansible_user = "quoted"
        ansible_port = 22 # this is a comment to Python, and so to Ansible
        ansible_private_key_file = ~/.ssh/a key
        """
    assert beside.connections(text) == {
        "a": {"kind": "ssh", "user": "dep loy", "port": 22},
        "b": {"kind": "ssh", "user": "#1"},
        "c": {"kind": "ssh", "user": "quoted", "port": 22, "identity_file": "~/.ssh/a key"},
    }


def test_a_host_may_stand_in_many_places(beside: Beside) -> None:
    text = "[a]\nx ansible_user=early\n[b]\nx ansible_port=2\n[c]\nx ansible_user=late\n"
    found = beside.machines(text)["x"]
    assert found["roles"] == ["a", "b", "c"]
    assert found["connection"]["user"] == "late"
    assert found["connection"]["port"] == 2


def test_all_and_ungrouped_are_groups_that_say_nothing_of_a_role(beside: Beside) -> None:
    found = beside.machines("[all]\na\n[ungrouped]\nb\n[g]\nc\n")
    assert [found[host].get("roles") for host in "abc"] == [None, None, ["g"]]
