"""Reading an inventory, whatever its format."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deployengine.catalog.inventory import (
    ansible_variables,
    ini,
    list_format,
    nodes,
    ssh_config,
    ssh_config_file,
    vars_folders,
    yaml_format,
)
from deployengine.catalog.inventory.listing import Listing, Place, Unreadable
from deployengine.catalog.inventory.way import Way

Format = Literal["ansible", "ansible-list", "ssh_config"]

#: How each host is reached, given what the catalog says of the connection to all hosts.
Ways = Callable[[str, Mapping[str, Any]], Way]

_Kind = Literal["ini", "yaml", "ansible-list", "ssh_config"]

_YAML = (".yaml", ".yml")
_INI = (".ini", ".cfg")

_FIRST_LINE = re.compile(r"(?m)^\s*(?![#;\s])(.+)$")
_OF_SSH = re.compile(r"(?i)(host|match|include)(\s+|\s*=\s*)[^=]+")
_OF_YAML = re.compile(r"---.*|[\w.-]+:(\s+#.*)?")
_META = re.compile(r'"_meta"\s*:')
#: Settings of a program that finds the machines: of a cloud, say.
_PLUGIN = re.compile(r"(?m)^plugin\s*:")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an inventory lists, and how its hosts are reached."""

    listing: Listing
    way: Ways


def read(path: Path, format_: Format | None = None) -> Inventory:
    """Reads an inventory; its format is told by its name and its text if nobody says it.

    Raises :class:`Unreadable` if nothing can be made of it; other faults are in the listing.
    """
    file = str(path)
    text = _text(path)
    kind = _kind(path, text, format_)
    if text.startswith("#!") or (kind == "yaml" and _PLUGIN.search(text)):
        raise Unreadable(
            Place(file, 1).fault(
                "it is a program, or settings of one, and nothing here is run: give the output of "
                "`ansible-inventory -i FILE --list` instead"
            )
        )
    try:
        found = _listed(text, path, kind)
    except RecursionError as error:
        raise Unreadable(Place(file, 1).fault("nested too deeply")) from error
    found.listing.faults.extend(found.listing.cycles())
    return found


def _listed(text: str, path: Path, kind: _Kind) -> Inventory:
    file = str(path)
    if kind == "ssh_config":
        config = ssh_config_file.parse(text, file)
        return Inventory(
            ssh_config.listing(config, file), lambda host, _: ssh_config.way(config, host)
        )
    if kind == "ini":
        listing = ini.read(text, file)
    elif node := nodes.compose(text, file):
        listing = (list_format if kind == "ansible-list" else yaml_format).read(node, file)
    else:
        listing = Listing(file)
    if kind != "ansible-list":
        vars_folders.add_folders(listing, path.parent)
    return Inventory(
        listing,
        lambda host, given: ansible_variables.way(listing.variables_of(host), host, given),
    )


def _kind(path: Path, text: str, said: Format | None) -> _Kind:
    """What to read it as, by its name and by the first line that is no comment."""
    if said in ("ansible-list", "ssh_config"):
        return said
    first = _FIRST_LINE.search(text)
    begin = first[1].strip() if first else ""
    is_json = begin.startswith("{")
    if said is None and (path.suffix == ".json" or (is_json and _META.search(text))):
        return "ansible-list"
    if said is None and path.suffix not in (*_YAML, *_INI) and _OF_SSH.fullmatch(begin):
        return "ssh_config"
    if path.suffix in _INI:
        return "ini"
    if path.suffix in (*_YAML, ".json") or is_json or _OF_YAML.fullmatch(begin):
        return "yaml"
    return "ini"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise Unreadable(Place(str(path)).fault("there is no such file")) from error
    except IsADirectoryError as error:
        message = "it is a folder: name the file in it, each one as an inventory of its own"
        raise Unreadable(Place(str(path)).fault(message)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Unreadable(Place(str(path), line).fault("the file is not UTF-8")) from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "its name is none"
        raise Unreadable(Place(str(path)).fault(f"can't be read: {said}")) from error
