"""The catalog as it is stored: one canonical document per item, ranges written out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from deployengine.catalog import schema
from deployengine.catalog.names import expanded
from deployengine.catalog.ranges import expand

Kind = Literal["environment", "machine", "lifecycle", "variable_set", "project"]

#: The kind of the items of each section, in the order in which they are stored.
KINDS: Mapping[str, Kind] = {
    "environments": "environment",
    "machines": "machine",
    "lifecycles": "lifecycle",
    "variable_sets": "variable_set",
    "projects": "project",
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
    """All that there is: environments, machines, lifecycles, variable sets, then projects."""

    items: tuple[CatalogItem, ...]

    def of(self, kind: Kind) -> tuple[CatalogItem, ...]:
        """The items of one kind, in order."""
        return tuple(item for item in self.items if item.kind == kind)

    def sealed(self, seal: Seal) -> Catalog:
        """The same catalog with each sensitive value replaced by what ``seal`` makes of it.

        ``seal`` takes the plain text and returns ``cipher`` and ``mac``. What is sealed stays.
        """
        return Catalog(
            tuple(replace(item, document=_sealed(item.document, seal)) for item in self.items)
        )


def documents(model: schema.Item) -> Iterator[Document]:
    """The canonical documents of one item: one for each name that its name stands for."""
    match model:
        case schema.Environment():
            yield {"name": model.name, "description": model.description}
        case schema.Machine():
            yield from (_machine(name, model) for name in expand(model.name))
        case schema.Lifecycle():
            yield model.model_dump()
        case schema.VariableSet():
            yield {"name": model.name, "variables": _variables(model.variables)}
        case schema.Project():
            document = _project(model)
            yield from ({**document, "name": name} for name in expand(model.name))


def names(model: schema.Item) -> tuple[str, ...]:
    """The names that an item's name stands for; only machines and projects may have ranges."""
    ranged = isinstance(model, schema.Machine | schema.Project)
    return expand(model.name) if ranged else (model.name,)


def workdir(name: str, machine: schema.Machine) -> str:
    """The folder of one machine of this entry."""
    return _MACHINE.sub(lambda _: name, machine.connection.workdir)


def _machine(name: str, machine: schema.Machine) -> Document:
    return {
        "name": name,
        "environments": list(machine.environments),
        "roles": list(machine.roles),
        "connection": {"kind": machine.connection.kind, "workdir": workdir(name, machine)},
        "max_concurrent": machine.max_concurrent,
    }


def _project(project: schema.Project) -> Document:
    return {
        "name": project.name,
        "lifecycle": project.lifecycle,
        "channels": [channel.model_dump() for channel in project.channels],
        "include": list(project.include),
        "variables": _variables(project.variables),
        "process": [_step(step) for step in project.process],
    }


def _step(step: schema.Step) -> Document:
    document = step.model_dump(exclude={"timeout"})
    return {**document, "timeout_seconds": step.timeout}


def _variables(variables: Sequence[schema.Variable]) -> list[Document]:
    return [variable_document(variable) for variable in variables]


def variable_document(variable: schema.Variable) -> Document:
    """The canonical document of a variable."""
    scope = variable.scope.model_dump()
    return {
        "name": variable.name,
        "value": variable.value,
        "sensitive": variable.sensitive,
        "scope": {kind: list(expanded(names)) for kind, names in scope.items() if names},
    }


def _sealed(document: Document, seal: Seal) -> Document:
    if not any(v["sensitive"] for v in document.get("variables", ())):
        return document
    return {**document, "variables": [_sealed_variable(v, seal) for v in document["variables"]]}


def _sealed_variable(variable: Document, seal: Seal) -> Document:
    value = variable["value"]
    if not (variable["sensitive"] and isinstance(value, str)):
        return variable
    return {**variable, "value": seal(value)}
