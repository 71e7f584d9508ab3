"""What would come of an inventory, before a catalog names it or instead of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployengine.catalog import lines
from deployengine.catalog.connection import unsound_connection
from deployengine.catalog.duplicates import duplicates
from deployengine.catalog.entries import entries
from deployengine.catalog.inventory.listing import ALL, Place, Unreadable
from deployengine.catalog.inventory.machines import Listed, add_machines
from deployengine.catalog.inventory.reading import Format, read
from deployengine.catalog.inventory.selection import Selection
from deployengine.catalog.loading import read_documents
from deployengine.catalog.scalars import as_written
from deployengine.catalog.schema import Machine
from deployengine.domain.errors import Fault, InvalidInput, RequestError

_KEY = "inventories"


@dataclass(frozen=True, slots=True)
class Shown:
    """Machines as they would stand in a catalog, and what to say of them."""

    machines: tuple[dict[str, Any], ...]
    warnings: tuple[Fault, ...]


def names_inventories(path: Path) -> bool:
    """Whether this is a catalog, file or folder, that names inventories, and not one itself."""
    if not path.is_dir() and path.suffix not in (".yaml", ".yml"):
        return False
    found, _ = read_documents([path], [])
    return any(isinstance(each.data, dict) and _KEY in each.data for each in found)


def of_catalog(path: Path) -> Shown:
    """The machines of all inventories that a catalog names. Raises :class:`InvalidInput`."""
    faults: list[Fault] = []
    found, _ = read_documents([path], faults)
    if faults:
        raise InvalidInput(faults)
    return _shown(
        [
            lines.Document(each.file, {_KEY: each.data[_KEY]}, each.lines)
            for each in found
            if isinstance(each.data, dict) and _KEY in each.data
        ]
    )


def of_inventory(path: Path, format_: Format | None, environments: Sequence[str]) -> Shown:
    """The machines of one inventory; environments are ``NAME`` for all, or ``GROUP=NAME``.

    Raises :class:`InvalidInput`, and :class:`RequestError` if no environment is given.
    """
    if not environments:
        groups = _groups(path, format_)
        advice = f"say --environment NAME, or --environment GROUP=NAME; its groups: {groups}"
        raise RequestError("a machine must belong to an environment", str(path), advice)
    said: dict[str, Any] = {"file": str(path)}
    if format_:
        said["format"] = format_
    for text in environments:
        group, equals, name = text.partition("=")
        if equals:
            said.setdefault("environments", {}).setdefault(group, []).append(name)
        else:
            said["environment"] = text
    return _shown([Listed("", {_KEY: [said]}, {}, {(): Place("")})])


def _groups(path: Path, format_: Format | None) -> str:
    try:
        listing = read(path, format_).listing
    except Unreadable as error:
        raise InvalidInput([error.fault]) from error
    if listing.faults:
        raise InvalidInput(listing.faults)
    return ", ".join(name for name in Selection(listing).groups if name != ALL) or "none"


def _shown(documents: Sequence[lines.Document]) -> Shown:
    found = entries(documents)
    added = add_machines(found)
    faults = [*found.faults, *duplicates(found)]
    for entry, machine in found.of("machines", Machine):
        faults += unsound_connection(entry, machine.connection)
    if faults:
        raise InvalidInput(list(dict.fromkeys(faults)))
    machines = (_plain(entry.raw) for entry in found.sections["machines"])
    return Shown(tuple(machines), tuple(dict.fromkeys(added.warnings)))


def _plain(value: Any) -> Any:
    """The same without what only our own reader of YAML knows: how numbers were written."""
    if isinstance(value, dict):
        return {
            key: int(each) if key == "port" and isinstance(each, int) else _plain(each)
            for key, each in value.items()
        }
    return [_plain(each) for each in value] if isinstance(value, list) else as_written(value)
