"""What ``inventory show`` prints is a catalog from which the same machines come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployengine.catalog import load
from deployengine.catalog.inventory import showing
from deployengine.domain.errors import InvalidInput, RequestError
from tests.catalog.inventory.conftest import REST, Beside
from tests.catalog.inventory.test_ini import THIRTY
from tests.catalog.inventory.test_ssh_config import CONFIG

SECTION: dict[str, Any] = {
    "environments": {"production": "Production", "bastion": "QA"},
    "roles": {"db": "store", "web": ["web", "front"]},
    "connection": {
        "identity_file": "~/.ssh/#{machine}",
        "port": 2222,
        "patience": 90,
        "become": "root",
    },
}


def applied(folder: Path, machines: Any) -> list[Any]:
    file = folder / "pasted.yaml"
    file.write_text(yaml.safe_dump({**REST, "machines": list(machines)}))
    return [item.document for item in load([file]).of("machine")]


def test_of_a_catalog_what_its_inventories_come_to(beside: Beside) -> None:
    documents = list(beside.machines(THIRTY, **SECTION).values())
    shown = showing.of_catalog(beside.catalog)
    assert shown.machines[1]["roles"] == ["web", "front"]
    assert applied(beside.folder, shown.machines) == documents
    assert showing.of_catalog(beside.folder) == shown


def test_of_an_inventory_with_the_environments_that_are_given(beside: Beside) -> None:
    beside.machines(CONFIG, "ssh_config", environments={"web*": ["QA", "Staging"], "*": "Staging"})
    given = ["web*=QA", "web*=Staging", "*=Staging"]
    shown = showing.of_inventory(beside.folder / "ssh_config", None, given)
    documents = [item.document for item in load([beside.catalog]).of("machine")]
    assert applied(beside.folder, shown.machines) == documents


def test_the_format_may_be_said(beside: Beside) -> None:
    file = beside.write("odd.txt", "host a\n  user x\n")
    assert showing.of_inventory(file, "ssh_config", ["QA"]).machines == (
        {"name": "a", "environments": ["QA"], "connection": {"kind": "ssh", "user": "x"}},
    )


def test_without_an_environment_its_groups_are_offered(beside: Beside) -> None:
    file = beside.write("hosts.ini", THIRTY)
    with pytest.raises(RequestError, match="its groups: ungrouped, web, db, production, backend"):
        showing.of_inventory(file, None, [])


@pytest.mark.parametrize(
    ("text", "given", "fault"),
    [
        ("a\n", ["wbe=QA"], "there is no group or host 'wbe'"),
        ("a\n", ["QA", "a=QA"], "say either `environment: NAME`"),
        ("a b\n", ["QA"], "{file}:1: behind a host there is room"),
        ("a b\n", [], "{file}:1: behind a host there is room"),
        ("a ansible_port=0\n", ["QA"], "{file}:1: a: ansible_port: must be at least 1"),
        ("A\na\n", ["QA"], "{file}:2: a: machine 'a' stands already in {file}:1"),
        ("a ansible_host='#{x}'\n", ["QA"], "{file}:1: a: ansible_host: there is no placeholder"),
    ],
)
def test_what_could_not_be_applied_is_not_shown(
    beside: Beside, text: str, given: list[str], fault: str
) -> None:
    file = beside.write("hosts.ini", text)
    with pytest.raises(InvalidInput) as caught:
        showing.of_inventory(file, None, given)
    (found,) = caught.value.faults
    assert str(found).startswith(fault.replace("{file}", str(file)))


def test_a_file_that_is_not_there_is_told(beside: Beside) -> None:
    for environments in ([], ["QA"]):
        with pytest.raises(InvalidInput, match="there is no such file"):
            showing.of_inventory(beside.folder / "none", None, environments)


@pytest.mark.parametrize(
    ("name", "text", "is_catalog"),
    [
        ("c.yaml", "inventories: []\n", True),
        ("c.yaml", "all: {hosts: {a: }}\n", False),
        ("c.yaml", "[\n", False),
        ("c.ini", "inventories: []\n", False),
        ("none.yaml", None, False),
    ],
)
def test_a_catalog_is_told_from_an_inventory(
    beside: Beside, name: str, text: str | None, is_catalog: bool
) -> None:
    file = beside.folder / name if text is None else beside.write(name, text)
    assert showing.names_inventories(file) is is_catalog
