"""What ``ansible-inventory --list`` and inventory scripts print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.catalog.inventory.conftest import Beside

LIST: dict[str, Any] = {
    "_meta": {
        "hostvars": {
            "a": {"ansible_host": "10.0.0.1", "ansible_port": 2222, "motd": "\U0001f600 {{ x }}"},
            "z": {"ansible_become": True, "ansible_user": {"__ansible_unsafe": "deploy"}},
        },
        "profile": "inventory_legacy",
    },
    "all": {"children": ["ungrouped", "prod"]},
    "db": {"hosts": ["a"]},
    "prod": {"children": ["web", "db"]},
    "web": {"hosts": ["z", "b"]},
}


@pytest.mark.parametrize("name", ["list.json", "list"])
def test_the_output_of_ansible_inventory(beside: Beside, name: str) -> None:
    found = beside.machines(json.dumps(LIST, indent="\t"), name)
    assert list(found) == ["z", "b", "a"]
    assert [m["roles"] for m in found.values()] == [
        ["prod", "web"],
        ["prod", "web"],
        ["prod", "db"],
    ]
    assert found["a"]["connection"]["host"] == "10.0.0.1"
    assert found["a"]["connection"]["port"] == 2222
    assert found["z"]["connection"]["user"] == "deploy"
    assert found["z"]["connection"]["become"] == "root"


def test_the_output_of_an_older_script_without_variables_of_hosts(beside: Beside) -> None:
    text = json.dumps({"web": ["a", "b"], "db": {"hosts": "c", "vars": {"ansible_user": "pg"}}})
    assert beside.connections(text, "script.json") == {
        "a": {"kind": "ssh"},
        "b": {"kind": "ssh"},
        "c": {"kind": "ssh", "user": "pg"},
    }


def test_hosts_of_which_no_group_tells_are_there(beside: Beside) -> None:
    text = json.dumps({"_meta": {"hostvars": {"a": {"ansible_user": "x"}}}})
    assert beside.connections(text, "list.json") == {"a": {"kind": "ssh", "user": "x"}}
