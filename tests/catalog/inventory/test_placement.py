"""Which hosts are machines, where, and in which roles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.inventory.conftest import Beside

HOSTS = """\
lonely
[web]
web-[1:3]
[db]
db-1
web-1
[production:children]
web
[staging]
db-1
web-3
"""


@pytest.mark.parametrize(
    ("section", "hosts"),
    [
        ({}, ["lonely", "web-1", "web-2", "web-3", "db-1"]),
        ({"only": ["web"]}, ["web-1", "web-2", "web-3"]),
        ({"only": ["production"]}, ["web-1", "web-2", "web-3"]),
        ({"only": ["web-[2:3]", "lonely"]}, ["lonely", "web-2", "web-3"]),
        ({"only": ["w*"], "exclude": ["staging"]}, ["web-1", "web-2"]),
        ({"only": ["*-?"]}, ["web-1", "web-2", "web-3", "db-1"]),
        ({"only": ["ungrouped"]}, ["lonely"]),
        ({"only": ["all"], "exclude": ["db"]}, ["lonely", "web-2", "web-3"]),
    ],
)
def test_hosts_are_chosen_by_groups_names_ranges_and_patterns(
    beside: Beside, section: dict[str, Any], hosts: list[str]
) -> None:
    assert list(beside.machines(HOSTS, **section)) == hosts


@pytest.mark.parametrize(
    ("section", "roles"),
    [
        ({}, {"web-1": ["web", "db", "production"], "web-3": ["web", "production", "staging"],
              "db-1": ["db", "staging"]}),
        ({"roles": "groups", "environments": {"production": "Production", "st*": ["QA"]}},
         {"web-1": ["web", "db"], "web-3": ["web"], "db-1": ["db"]}),
        ({"roles": ["db"]}, {"web-1": ["db"], "web-3": None, "db-1": ["db"]}),
        ({"roles": ["w*", "db"]}, {"web-1": ["web", "db"], "web-3": ["web"], "db-1": ["db"]}),
        ({"roles": []}, {"web-1": None, "web-3": None, "db-1": None}),
        ({"roles": {"web": "front", "staging": ["front", "test"], "db-*": "store"}},
         {"web-1": ["front"], "web-3": ["front", "test"], "db-1": ["front", "test", "store"]}),
    ],
)  # fmt: skip
def test_groups_are_roles_or_stand_for_some(
    beside: Beside, section: dict[str, Any], roles: dict[str, list[str] | None]
) -> None:
    found = beside.machines(HOSTS, exclude=["lonely", "web-2"], **section)
    assert {host: machine.get("roles") for host, machine in found.items()} == roles


def test_environments_come_in_the_order_in_which_the_catalog_names_them(beside: Beside) -> None:
    said = {"staging": ["Staging", "QA"], "web": "Production", "db": "Staging"}
    found = beside.machines(HOSTS, environments=said, exclude=["lonely"])
    assert {host: machine["environments"] for host, machine in found.items()} == {
        "web-1": ["Production", "Staging"],
        "web-2": ["Production"],
        "web-3": ["Staging", "QA", "Production"],
        "db-1": ["Staging", "QA"],
    }


def test_one_file_may_be_named_twice_and_stand_beside_machines_of_the_catalog(
    beside: Beside,
) -> None:
    beside.write("hosts.ini", HOSTS)
    catalog = beside.load(
        {"file": "hosts.ini", "only": ["web"], "environment": "Production"},
        {"file": "hosts.ini", "only": ["lonely"], "environment": "QA",
         "connection": {"kind": "local"}},
        machines=[{"name": "here", "environments": ["QA"]}],
    )  # fmt: skip
    kinds = {item.name: item.document["connection"]["kind"] for item in catalog.of("machine")}
    assert kinds == {
        "here": "local", "web-1": "ssh", "web-2": "ssh", "web-3": "ssh", "lonely": "local",
    }  # fmt: skip


def test_a_machine_is_stored_as_if_it_stood_in_the_catalog(beside: Beside) -> None:
    read = beside.machines("[web]\na ansible_host=10.0.0.1 ansible_port=22\n")
    typed = {
        "name": "a",
        "environments": ["QA"],
        "roles": ["web"],
        "connection": {"kind": "ssh", "host": "10.0.0.1", "port": 22},
    }
    assert [item.document for item in beside.load(machines=[typed]).of("machine")] == [read["a"]]
