"""From the hosts of an inventory to machines of the catalog, as if they stood in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployengine.catalog import lines
from deployengine.catalog.connection import Connection
from deployengine.catalog.entries import Entries, Entry, entry_of
from deployengine.catalog.inventory import section
from deployengine.catalog.inventory.listing import Place, Unreadable
from deployengine.catalog.inventory.placement import Placement, told
from deployengine.catalog.inventory.reading import Inventory, read
from deployengine.catalog.inventory.way import Way
from deployengine.catalog.schema import Machine
from deployengine.domain.errors import Fault

_PORT = re.compile(r"\d{1,5}", re.ASCII)
_ORDER = tuple(Connection.model_fields)
#: Without these nobody knows which hosts are meant, or where they belong.
_DECISIVE = ("file", "format", "environment", "environments", "only", "exclude")


@dataclass(slots=True)
class Added:
    """What came of all inventories. ``whole``: no machine of theirs is missing."""

    whole: bool = True
    warnings: list[Fault] = field(default_factory=list)


def add_machines(entries: Entries) -> Added:
    """Adds the machines of all inventories to those that the files spell out."""
    added = Added()
    for entry in entries.sections["inventories"]:
        read_by = entry.model if _is_clear(entry) else None
        added.whole = bool(read_by and _add(entry, read_by, entries, added)) and added.whole
    return added


def file_of(catalog: str, file: str) -> Path:
    """Where the inventory is that a catalog file names."""
    try:
        return Path(catalog).parent / Path(file).expanduser()
    except RuntimeError:  # there is no home for its ~: the attempt to read it tells so
        return Path(catalog).parent / file


def _is_clear(entry: Entry[section.Inventory]) -> bool:
    """Whether it is known which hosts are meant, be something else in the entry wrong or not."""
    model = entry.model
    return model is not None and not any(
        entry.refused(model, key) or (key == "file" and not model.file) for key in _DECISIVE
    )


def named_by(document: lines.Document) -> Iterator[Path]:
    """The inventories that a document of a catalog names, as far as it can be read."""
    said = document.data.get("inventories") if isinstance(document.data, dict) else None
    for each in said if isinstance(said, list) else ():
        file = each.get("file") if isinstance(each, dict) else None
        if isinstance(file, str):
            yield file_of(document.file, file)


def _add(
    entry: Entry[section.Inventory], model: section.Inventory, entries: Entries, added: Added
) -> bool:
    try:
        inventory = read(file_of(entry.document.file, model.file), model.format)
    except Unreadable as error:
        fault = error.fault
        # Of a file that cannot be opened there is no line, but one that names it.
        entries.faults.append(fault if fault.line else entry.fault(str(fault), "file"))
        return False
    listing = inventory.listing
    added.warnings += listing.warnings
    if listing.faults:
        entries.faults.extend(listing.faults)
        return False
    placement = Placement(entry, model, listing)
    if faults := list(placement.faults()):
        entries.faults.extend(faults)
        return False
    made = _Machines(entry, placement, inventory)
    entries.sections["machines"] += made.entries(entries.faults)
    entries.faults.extend(made.told(lambda way: way.faults))
    added.warnings += made.told(lambda way: way.warnings)
    return True


@dataclass(frozen=True, slots=True)
class Listed(lines.Document):
    """A document whose parts have places of their own, in whatever files."""

    places: Mapping[lines.Path, Place] = field(default_factory=dict, repr=False)

    def fault(self, path: lines.Path, message: str) -> Fault:
        known = path
        while known not in self.places and known:
            known = known[:-1]
        return self.places[known].fault(message)


class _Machines:
    """The machines that come of an inventory."""

    def __init__(
        self, entry: Entry[section.Inventory], placement: Placement, inventory: Inventory
    ) -> None:
        self._placement = placement
        self._hosts = inventory.listing.hosts
        self._file = inventory.listing.file
        said = entry.raw.get("connection")
        self._for_all: dict[str, Any] = said if isinstance(said, dict) else {}
        self._places_for_all = {
            path[len(entry.path) :]: _place(entry.document.fault(path, ""))
            for path in entry.document.lines
            if path[: len(entry.path) + 1] == (*entry.path, "connection")
        }
        self._ways = {host: inventory.way(host, self._for_all) for host in placement.hosts}

    def entries(self, faults: list[Fault]) -> list[Entry[Machine]]:
        """All of them; adds what the schema finds wrong with them."""
        raw: list[dict[str, Any]] = []
        places: dict[lines.Path, Place] = {(): Place(self._file)}
        for index, (host, way) in enumerate(self._ways.items()):
            machine, found = self._machine(host, way)
            raw.append(machine)
            places |= {("machines", index, *path): place for path, place in found.items()}
        known = {path: place.line or 1 for path, place in places.items()}
        document = Listed(self._file, {"machines": raw}, known, places)
        return [
            entry_of(document, ("machines", index), machine, Machine, faults)
            for index, machine in enumerate(raw)
        ]

    def told(self, said: Callable[[Way], Iterable[Fault]]) -> Iterator[Fault]:
        """What there is to say of the ways to them, once for all hosts that it is said of."""
        hosts: dict[Fault, list[str]] = {}
        for host, way in self._ways.items():
            for fault in said(way):
                hosts.setdefault(fault, []).append(host)
        for fault, of in hosts.items():
            its_own = (fault.path or "").startswith(f"{of[0]}: ")
            yield fault if its_own else replace(fault, message=f"{fault.message} ({told(of)})")

    def _machine(self, host: str, way: Way) -> tuple[dict[str, Any], dict[lines.Path, Place]]:
        environments, roles = self._placement.environments(host), self._placement.roles(host)
        connection = self._connection(way)
        machine: dict[str, Any] = {"name": host, "environments": list(environments)}
        if roles:
            machine["roles"] = list(roles)
        places: dict[lines.Path, Place] = {(): self._hosts[host].place}
        for key, placed in (("environments", environments), ("roles", roles)):
            places |= {(key, index): place for index, place in enumerate(placed.values())}
        places |= self._places_for_all
        places |= {("connection", key): place for key, place in way.places.items()}
        places = {path: place for path, place in places.items() if _stands(path, connection)}
        return {**machine, "connection": connection}, places

    def _connection(self, way: Way) -> dict[str, Any]:
        """What is said for all, under what the host says."""
        if way.kind == "local":
            folder = {"workdir": self._for_all["workdir"]} if "workdir" in self._for_all else {}
            return {"kind": "local", **folder}
        found: dict[str, Any] = {**self._for_all, "kind": "ssh"}
        for key, text in way.keys.items():
            found[key] = int(text) if key == "port" and _PORT.fullmatch(text) else text
        if way.keys.get("identity_file"):
            found.pop("identity", None)
        if found.get("host") == way.host:
            del found["host"]
        return {key: found[key] for key in _ORDER if found.get(key) not in ("", None)}


def _stands(path: lines.Path, connection: Mapping[str, Any]) -> bool:
    """Whether what has this place is part of the machine."""
    return path[:1] != ("connection",) or len(path) == 1 or path[1] in connection


def _place(fault: Fault) -> Place:
    return Place(fault.file or "", fault.line, fault.path)
