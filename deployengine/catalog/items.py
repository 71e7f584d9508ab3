"""The catalog as it is stored: one canonical document per item, ranges written out.

What a file leaves out, or says as it is anyway, its document leaves out too: so a key that the
schema gets later changes no document that is stored already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from deployengine.catalog import schema
from deployengine.catalog.connection import LOCAL_WORKDIR, SSH_WORKDIR
from deployengine.catalog.names import expanded
from deployengine.catalog.node import Node
from deployengine.catalog.ranges import expand
from deployengine.catalog.timetable import Freeze
from deployengine.domain.errors import Fault

Kind = Literal[
    "environment", "machine", "lifecycle", "variable_set", "feed", "project", "freeze", "schedule"
]

#: The kind of the items of each section, in the order in which they are stored.
KINDS: Mapping[str, Kind] = {
    "environments": "environment",
    "machines": "machine",
    "lifecycles": "lifecycle",
    "variable_sets": "variable_set",
    "feeds": "feed",
    "projects": "project",
    "freezes": "freeze",
    "schedules": "schedule",
}

#: What the schema has for each kind.
MODELS: Mapping[str, type[schema.Item]] = {
    kind: schema.SECTIONS[section] for section, kind in KINDS.items()
}

Document = dict[str, Any]
Seal = Callable[[str], dict[str, str]]

_MACHINE = re.compile(r"#\{\s*machine\s*\}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One item; ``position`` counts within its kind, ``document`` is what the domain reads.

    The repr leaves the document out, since it may hold secrets that are not sealed yet.
    """

    kind: Kind
    name: str
    position: int
    document: Document = field(repr=False)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that there is, kind by kind as :data:`KINDS` has them.

    ``warnings`` tell of what can be applied and yet is hardly meant.
    """

    items: tuple[CatalogItem, ...]
    warnings: tuple[Fault, ...] = ()

    def of(self, kind: Kind) -> tuple[CatalogItem, ...]:
        """The items of one kind, in order."""
        return tuple(item for item in self.items if item.kind == kind)

    def sealed(self, seal: Seal) -> Catalog:
        """The same catalog with each sensitive value replaced by what ``seal`` makes of it.

        ``seal`` takes the plain text and returns ``cipher`` and ``mac``. What is sealed stays, and
        so does the empty text of a prompted variable, which has no value before it is answered.
        """
        items = tuple(replace(item, document=_sealed(item.document, seal)) for item in self.items)
        return replace(self, items=items)


def documents(model: schema.Item, default_lifecycle: str | None) -> Iterator[Document]:
    """The canonical documents of one item: one for each name that its name stands for.

    A project's names its lifecycle, ``default_lifecycle`` where the file does not.
    """
    match model:
        case schema.Machine():
            yield from (_machine(name, model) for name in expand(model.name))
        case schema.VariableSet():
            yield {"name": model.name, "variables": _variables(model.variables)}
        case schema.Project():
            document = _project(model, default_lifecycle)
            yield from ({**document, "name": name} for name in expand(model.name))
        case Freeze():
            document = plain(model)
            if model.projects:
                document["projects"] = list(expanded(model.projects))
            yield document
        case _:
            yield plain(model)


def plain(model: Node) -> Document:
    """A part of the catalog as it is stored: without what is as it is anyway."""
    return model.model_dump(by_alias=True, exclude_defaults=True)


def names(model: schema.Item) -> tuple[str, ...]:
    """The names that an item's name stands for; only machines and projects may have ranges."""
    ranged = isinstance(model, schema.Machine | schema.Project)
    return expand(model.name) if ranged else (model.name,)


def workdir(name: str, machine: schema.Machine) -> str:
    """The folder of one machine of this entry."""
    connection = machine.connection
    default = SSH_WORKDIR if connection.kind == "ssh" else LOCAL_WORKDIR
    return _named(name, connection.workdir or default)


def _machine(name: str, machine: schema.Machine) -> Document:
    connection = plain(machine.connection)
    for key in ("host", "tickets", "identity_file"):
        if key in connection:
            connection[key] = _named(name, connection[key])
    kind = machine.connection.kind
    connection = {**connection, "kind": kind, "workdir": workdir(name, machine)}
    return {**plain(machine), "name": name, "connection": connection}


def _named(name: str, text: str) -> str:
    """The text with the machine's name in the place of ``#{machine}``."""
    return _MACHINE.sub(lambda _: name, text)


def _project(project: schema.Project, default_lifecycle: str | None) -> Document:
    document = plain(project)
    document["lifecycle"] = project.lifecycle or default_lifecycle
    if project.variables:
        document["variables"] = _variables(project.variables)
    return document


def _variables(variables: Sequence[schema.Variable]) -> list[Document]:
    return [variable_document(variable) for variable in variables]


def variable_document(variable: schema.Variable) -> Document:
    """The canonical document of a variable; it always has a value, be it an empty one."""
    document = {**plain(variable), "value": variable.value}
    scope = plain(variable.scope)
    if scope:
        document["scope"] = {
            kind: list(expanded(names) if kind == "machines" else names)
            for kind, names in scope.items()
        }
    return document


def _sealed(document: Document, seal: Seal) -> Document:
    if not any(v.get("sensitive") for v in document.get("variables", ())):
        return document
    return {**document, "variables": [_sealed_variable(v, seal) for v in document["variables"]]}


def _sealed_variable(variable: Document, seal: Seal) -> Document:
    value = variable["value"]
    if not (variable.get("sensitive") and isinstance(value, str)) or _is_left_to_answer(variable):
        return variable
    return {**variable, "value": seal(value)}


def _is_left_to_answer(variable: Document) -> bool:
    """Whether only an answer gives it a value: sealed, the empty text would pass for one."""
    return "prompt" in variable and variable["value"] == ""
