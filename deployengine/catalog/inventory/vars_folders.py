"""The folders ``group_vars`` and ``host_vars`` beside an inventory of Ansible's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from deployengine.catalog.inventory import nodes
from deployengine.catalog.inventory.listing import ALL, Listing, Place, Unreadable, Variables
from deployengine.catalog.names import plain

#: In the order in which Ansible looks for them; the first that is there counts.
_SUFFIXES = ("", ".yml", ".yaml", ".json")

_ENCRYPTED = "$ANSIBLE_VAULT;"


def add_folders(listing: Listing, folder: Path) -> None:
    """Adds what the files of these folders say of the hosts and groups that are listed.

    An encrypted file is left out, with a warning; one that cannot be read is a fault.
    """
    listing.group(ALL, Place(listing.file))
    for kind, bearers in (("group_vars", listing.groups), ("host_vars", listing.hosts)):
        try:
            if (folder / kind).is_dir():
                for name, bearer in bearers.items():
                    for file in _files(folder / kind, name):
                        _add(listing, file, bearer.beside, name)
        except OSError as error:
            place = Place(str(error.filename or folder / kind))
            listing.faults.append(place.fault(f"can't be read: {error.strerror}"))


def _files(folder: Path, name: str) -> Iterator[Path]:
    """The files of one host or group; a name that none may bear has none."""
    try:
        plain(name)
    except ValueError:
        return
    for suffix in _SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_dir():
            yield from _inside(path)
            return
        if path.exists():
            yield path
            return


def _inside(folder: Path) -> Iterator[Path]:
    for path in sorted(_visible(folder)):
        if path.is_dir():
            if not path.suffix:
                yield from _inside(path)
        elif path.suffix in _SUFFIXES:
            yield path


def _visible(folder: Path) -> Iterable[Path]:
    """Neither hidden files nor what editors leave behind."""
    return (p for p in folder.iterdir() if not p.name.startswith(".") and not p.name.endswith("~"))


def _add(listing: Listing, file: Path, variables: Variables, of: str) -> None:
    place = Place(str(file), 1)
    try:
        text = file.read_text("utf-8-sig")
        if text.startswith(_ENCRYPTED):
            message = "it is encrypted by ansible-vault and left out: nothing in it is known here"
            listing.warnings.append(place.fault(message))
            return
        node = nodes.compose(text, str(file))
    except OSError as error:
        listing.faults.append(Place(str(file)).fault(f"can't be read: {error.strerror}"))
    except UnicodeDecodeError:
        listing.faults.append(place.fault("the file is not UTF-8"))
    except Unreadable as error:
        listing.faults.append(error.fault)
    else:
        if node is not None and not isinstance(node, yaml.MappingNode):
            listing.faults.append(place.fault("variables must be a mapping"))
        elif node is not None:
            for key, said in nodes.pairs(node):
                variables[key.value] = nodes.value(said, str(file), of)
