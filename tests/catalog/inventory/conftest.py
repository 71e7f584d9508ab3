"""Inventories beside a catalog, and the machines that come of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployengine.catalog import Catalog, load
from deployengine.domain.errors import Fault, InvalidInput

#: What a catalog must have beside machines, and environments enough.
REST = {
    "environments": ["QA", "Staging", "Production"],
    "lifecycles": [{"name": "auto", "default": True, "phases": [{"name": "all"}]}],
}

Machines = dict[str, dict[str, Any]]


class Beside:
    """A folder with inventories and a catalog that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = folder / "catalog.yaml"

    def write(self, name: str, text: str) -> Path:
        """Writes a file into the folder, or below it."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(self, *sections: Mapping[str, Any], **rest: Any) -> Catalog:
        """The catalog with these entries of ``inventories``."""
        document = {**REST, **rest, "inventories": list(sections)}
        self.catalog.write_text(yaml.safe_dump(document, sort_keys=False))
        return load([self.catalog])

    def machines(self, text: str, name: str = "hosts.ini", **section: Any) -> Machines:
        """The documents of the machines that come of an inventory, all in QA if nothing is said."""
        self.write(name, text)
        if "environments" not in section:
            section.setdefault("environment", "QA")
        catalog = self.load({"file": name, **section})
        return {item.name: item.document for item in catalog.of("machine")}

    def connections(self, text: str, name: str = "hosts.ini", **section: Any) -> Machines:
        """How these machines are reached, by what is not so anyway."""
        found = {host: m["connection"] for host, m in self.machines(text, name, **section).items()}
        for host, connection in found.items():
            if connection["kind"] == "ssh" and connection["workdir"] == f"deployengine/{host}":
                del connection["workdir"]
        return found

    def faults(self, text: str, name: str = "hosts.ini", **section: Any) -> list[str]:
        """What is wrong with an inventory; files are called by their paths in the folder."""
        with pytest.raises(InvalidInput) as caught:
            self.machines(text, name, **section)
        return [self.told(fault) for fault in caught.value.faults]

    def warnings(self, text: str, name: str = "hosts.ini", **section: Any) -> list[str]:
        """What is told of an inventory that can be used."""
        self.machines(text, name, **section)
        document = yaml.safe_load(self.catalog.read_text())
        return [self.told(fault) for fault in self.load(*document["inventories"]).warnings]

    def told(self, fault: Fault) -> str:
        """A fault as people read it."""
        return str(fault).replace(f"{self.folder}/", "")


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    """A folder for inventories and a catalog."""
    return Beside(tmp_path)
