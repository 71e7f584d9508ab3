"""Ansible's inventories in YAML."""

from __future__ import annotations

import pytest

from deployengine.catalog import load
from tests.catalog.inventory.conftest import Beside

NESTED = """\
all:
  hosts:
    gateway: {ansible_host: 192.0.2.1}
  vars: &common
    ansible_user: deploy
  children:
    production:
      children:
        web:
          hosts:
            web[01:03]:
            web04:2222:
          vars:
            <<: *common
            ansible_port: 22
        db:
          hosts: db1
    staging:
      hosts:
        web01:
          ansible_become: yes
        stg1: {ansible_user: other}
"""
BOTH = {"production": "Production", "staging": "Staging"}


@pytest.mark.parametrize("name", ["hosts.yaml", "hosts.yml", "hosts"])
def test_groups_within_groups_and_hosts_in_two_environments(beside: Beside, name: str) -> None:
    found = beside.machines(NESTED, name, environments=BOTH, exclude=["gateway"])
    assert {host: (m["environments"], m.get("roles")) for host, m in found.items()} == {
        "web01": (["Production", "Staging"], ["web"]),
        "web02": (["Production"], ["web"]),
        "web03": (["Production"], ["web"]),
        "web04": (["Production"], ["web"]),
        "db1": (["Production"], ["db"]),
        "stg1": (["Staging"], None),
    }


def test_variables_come_from_all_groups_and_merged_mappings(beside: Beside) -> None:
    found = beside.connections(NESTED, "hosts.yaml", exclude=["web02", "web03"])
    assert found == {
        "gateway": {"kind": "ssh", "host": "192.0.2.1", "user": "deploy"},
        "web01": {"kind": "ssh", "port": 22, "user": "deploy", "become": "root"},
        "web04": {"kind": "ssh", "port": 2222, "user": "deploy"},
        "db1": {"kind": "ssh", "user": "deploy"},
        "stg1": {"kind": "ssh", "user": "other"},
    }


def test_of_what_is_merged_in_the_first_counts_and_own_keys_before_it(beside: Beside) -> None:
    text = """\
        one: {vars: &one {ansible_user: one, ansible_port: 1}}
        two: {vars: &two {ansible_user: two, ansible_port: 2, ansible_host: two}}
        web:
          hosts:
            a: {<<: [*one, *two], ansible_port: 3}
            b: {ansible_port: 4, <<: *two}
        """
    assert beside.connections(text, "hosts.yaml") == {
        "a": {"kind": "ssh", "user": "one", "port": 3, "host": "two"},
        "b": {"kind": "ssh", "user": "two", "port": 4, "host": "two"},
    }


def test_what_nobody_needs_may_be_anything(beside: Beside) -> None:
    text = """\
        all:
          hosts:
            a:
              secret: !vault |
                $ANSIBLE_VAULT;1.1;AES256
                6162
              raw: !unsafe "{{ x }}"
              list: [1, {b: 2}]
              when: 2026-01-01
              on: off
              ansible_python_interpreter: "{{ somewhere }}"
              ansible_host: !unsafe 10.0.0.1
        """
    assert beside.connections(text, "hosts.yaml") == {"a": {"kind": "ssh", "host": "10.0.0.1"}}


def test_a_value_that_is_emptied_is_none(beside: Beside) -> None:
    text = "all:\n  vars: {ansible_user: deploy}\n  hosts:\n    a: {ansible_user: }\n    b:\n"
    assert beside.connections(text, "hosts.yaml") == {
        "a": {"kind": "ssh"},
        "b": {"kind": "ssh", "user": "deploy"},
    }


def test_the_place_of_anchors_is_no_group_but_a_slip_is_told(beside: Beside) -> None:
    text = "common:\n  shared: {a: 1}\nweb:\n  hosts: {a: }\n"
    assert beside.warnings(text, "hosts.yaml") == [
        "hosts.yaml:2: unknown key 'shared'; there are hosts, children, vars"
    ]
    assert beside.faults("web:\n  hots: {a: }\n", "hosts.yaml") == [
        "hosts.yaml:2: unknown key 'hots'; did you mean 'hosts'?"
    ]


def test_an_inventory_in_the_folder_of_the_catalog_is_not_taken_for_a_part_of_it(
    beside: Beside,
) -> None:
    beside.machines("web: {hosts: {a: {x: !vault 1}}}\n", "hosts.yaml")
    assert [item.name for item in load([beside.folder]).of("machine")] == ["a"]
