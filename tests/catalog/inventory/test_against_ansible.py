"""The same inventory read here and by Ansible itself comes to the same machines."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.inventory.conftest import Beside, Machines
from tests.catalog.inventory.test_ini import THIRTY
from tests.catalog.inventory.test_yaml_format import NESTED

ANSIBLE = Path(sys.executable).parent / "ansible-inventory"


def listed(beside: Beside, name: str) -> str:
    """What ``ansible-inventory --list`` prints of a file in the folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(beside.folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [ANSIBLE, "-i", name, "--list"],
        cwd=beside.folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def without_order(machines: Machines) -> dict[str, Any]:
    """The list's groups come in the order of the alphabet."""
    return {
        name: {**machine, "roles": sorted(machine.get("roles", ()))}
        for name, machine in machines.items()
    }


def check(beside: Beside, text: str, name: str, **section: Any) -> Machines:
    """Both ways give the same; returns it."""
    ours = beside.machines(text, name, **section)
    theirs = beside.machines(listed(beside, name), "list.json", **section)
    assert without_order(ours) == without_order(theirs)
    return ours


@pytest.mark.parametrize(
    ("text", "name", "section"),
    [
        (THIRTY, "hosts.ini", {"only": ["production"], "environments": {"web": "QA", "db": "QA"}}),
        (NESTED, "hosts.yaml", {"exclude": ["gateway"],
                                "environments": {"production": "Production", "staging": "QA"}}),
        ("[a]\nx:2222 ansible_user=\"a b\"\n[b]\nx\n[b:vars]\nansible_user = 'c' # d\n"
         "ansible_ssh_common_args=\"-o ProxyJump='x y'\"\n[c:children]\na\nb\n"
         "[c:vars]\nansible_become=yes\nansible_host=\"h\"\n", "hosts", {}),
        ("[::1]:22\nweb[:3].x\n[g]\nn[1:9:3]-[a:c] ansible_port=0x16\n", "hosts.ini", {}),
    ],
)  # fmt: skip
def test_examples(beside: Beside, text: str, name: str, section: dict[str, Any]) -> None:
    assert check(beside, text, name, **section)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["ini", "yaml"])
def test_inventories_at_random_with_all_places_where_a_value_may_stand(
    beside: Beside, seed: int, kind: str
) -> None:
    made = _Made(random.Random(seed))
    for file, text in made.files().items():
        beside.write(file, text)
    found = check(beside, made.ini() if kind == "ini" else made.yaml(), f"hosts.{kind}")
    users = {machine["connection"].get("user") for machine in found.values()}
    assert len(users) > 5


def test_ansible_works_no_template_out_when_it_lists_an_inventory(beside: Beside) -> None:
    """So our advice for such values is not to ask it."""
    beside.write("hosts.ini", "a base=10.0.0 ansible_host='{{ base }}.1'\n")
    hosts = json.loads(listed(beside, "hosts.ini"))["_meta"]["hostvars"]
    assert hosts["a"]["ansible_host"] == "{{ base }}.1"


class _Made:
    """Hosts and groups at random; each value names the place where it stands."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.groups = [f"g{number}" for number in range(12)]
        self.hosts = [f"h{number}" for number in range(30)]
        self.children = {
            group: chance.sample(self.groups[index + 1 :], min(2, len(self.groups) - index - 1))
            for index, group in enumerate(self.groups)
        }
        self.members = {group: chance.sample(self.hosts, 4) for group in self.groups}
        self.said = {
            bearer: {
                name: f"{self._value(name, bearer)}"
                for name in ("ansible_user", "ansible_port", "ansible_host")
                if chance.random() < 0.4
            }
            for bearer in ("all", *self.groups, *self.hosts)
        }
        for group in chance.sample(self.groups, 3):
            self.said[group]["ansible_group_priority"] = str(chance.randrange(1, 5))

    def _value(self, name: str, bearer: str) -> str:
        if name == "ansible_port":
            return str(self._chance.randrange(1, 60000))
        return f"{name[-4:]}-of-{bearer}"

    def files(self) -> dict[str, str]:
        """Some folders beside the inventory."""
        some = self._chance.sample(self.groups, 5)
        found = {f"group_vars/{name}.yml": f"ansible_user: beside-{name}\n" for name in some}
        for host in self._chance.sample(self.hosts, 5):
            found[f"host_vars/{host}"] = f"ansible_host: beside-{host}\n"
        return {**found, "group_vars/all/x.yml": "ansible_become: yes\n"}

    def ini(self) -> str:
        lines = [" ".join([h, *(f"{k}={v}" for k, v in self.said[h].items())]) for h in self.hosts]
        sections = ["\n".join(lines)]
        for group in self._chance.sample(self.groups, len(self.groups)):
            sections.append("\n".join([f"[{group}]", *self.members[group]]))
            sections.append("\n".join([f"[{group}:children]", *self.children[group]]))
        for group in ("all", *self.groups):
            said = (f"{key} = {value}" for key, value in self.said[group].items())
            sections.append("\n".join([f"[{group}:vars]", *said]))
        return "\n\n".join(sections) + "\n"

    def yaml(self) -> str:
        inventory = {
            "all": {"hosts": {host: self.said[host] for host in self.hosts},
                    "vars": self.said["all"]},
            **{
                group: {
                    "hosts": dict.fromkeys(self.members[group]),
                    "children": dict.fromkeys(self.children[group]),
                    "vars": self.said[group],
                }
                for group in self.groups
            },
        }  # fmt: skip
        return json.dumps(inventory, indent=2)
