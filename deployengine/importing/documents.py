"""The documents of an export, told apart by their ids; the names of the files mean nothing.

Four shapes are known, and mixtures of them do no harm: the folder that ``Octopus.Migrator``
writes, the zip of Export/Import Projects (a flat heap of ``<Id>.json``), answers of the REST API
saved as files (one document, a list of them, or pages with ``Items``), and the one file of
``octo export`` (an object that holds the documents by role).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deployengine.domain.errors import Fault, InvalidInput
from deployengine.importing.source import SourceFile


class Kind(StrEnum):
    """What a document describes."""

    ENVIRONMENT = "environment"
    MACHINE = "machine"
    LIFECYCLE = "lifecycle"
    CHANNEL = "channel"
    PROJECT = "project"
    PROCESS = "deployment process"
    VARIABLE_SET = "variables"
    LIBRARY_SET = "library variable set"
    SETTINGS = "deployment settings"
    TEAM = "team"
    FREEZE = "freeze"
    OTHER = "other"


#: What ids begin with, in lower case. The migrator of 2.x made lifecycles of project groups.
_PREFIXES = {
    "environments-": Kind.ENVIRONMENT,
    "machines-": Kind.MACHINE,
    "lifecycles-": Kind.LIFECYCLE,
    "lifecycle-": Kind.LIFECYCLE,
    "channels-": Kind.CHANNEL,
    "projects-": Kind.PROJECT,
    "deploymentprocess-": Kind.PROCESS,
    "variableset-": Kind.VARIABLE_SET,
    "libraryvariablesets-": Kind.LIBRARY_SET,
    "deploymentsettings-": Kind.SETTINGS,
    "teams-": Kind.TEAM,
    "deploymentfreezes-": Kind.FREEZE,
}

#: Where other tools put further documents inside one.
_JOINED = ("DeploymentProcess", "VariableSet", "IncludedLibraryVariableSets", "Channels")

_REFERENCE = frozenset({"Id", "Name"})

#: What the manifest of Export/Import Projects says of each document of the zip.
_LISTED = frozenset({"DocumentType", "DocumentSource"})
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Document:
    """One document; a ``reference`` has nothing but an id and a name."""

    kind: Kind
    id: str
    file: str
    data: Mapping[str, Any] = field(repr=False)
    reference: bool = False

    @property
    def name(self) -> str:
        """Its name, else its id."""
        name = self.data.get("Name")
        return name.strip() if isinstance(name, str) and name.strip() else self.id


def documents(files: Iterable[SourceFile]) -> list[Document]:
    """Every document of these files; raises :class:`InvalidInput` for all broken JSON at once."""
    found: list[Document] = []
    faults: list[Fault] = []
    for file in files:
        if not file.name.lower().endswith(".json"):
            continue
        try:
            found += _inside(json.loads(file.content), file.name)
        except json.JSONDecodeError as error:
            faults.append(Fault(f"broken JSON: {error.msg}", file.name, error.lineno))
        except (UnicodeDecodeError, ValueError):
            faults.append(Fault("broken JSON: it is no text that can be read", file.name, 1))
        except RecursionError:
            faults.append(Fault("broken JSON: nested too deeply", file.name, 1))
    if faults:
        raise InvalidInput(faults)
    return found


def kind_of(id_: str) -> Kind:
    """What a document with this id is."""
    folded = id_.casefold()
    return next(
        (kind for prefix, kind in _PREFIXES.items() if folded.startswith(prefix)), Kind.OTHER
    )


def _inside(value: Any, file: str, depth: int = 0) -> Iterator[Document]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for each in value:
            yield from _inside(each, file, depth + 1)
    elif isinstance(value, dict):
        id_ = value.get("Id")
        if isinstance(id_, str) and id_:
            yield from _document(id_, value, file, depth)
        else:
            # A page of the API, or a file that holds documents by role.
            for each in value.values():
                if isinstance(each, list | dict):
                    yield from _inside(each, file, depth + 1)


def _document(id_: str, data: Mapping[str, Any], file: str, depth: int) -> Iterator[Document]:
    kind = kind_of(id_)
    named_only = data.keys() <= _REFERENCE or data.keys() >= _LISTED
    yield Document(kind, id_, file, data, reference=named_only)
    if kind in (Kind.PROJECT, Kind.LIBRARY_SET):
        for key in _JOINED:
            yield from _inside(data.get(key), file, depth + 1)
