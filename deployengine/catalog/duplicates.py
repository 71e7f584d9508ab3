"""Names that stand twice where each may stand once; upper and lower case make no difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from deployengine.catalog import schema
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.items import KINDS, names, variable_document, workdir
from deployengine.catalog.lines import Path
from deployengine.catalog.names import DISTINCT
from deployengine.catalog.packages import acquisitions
from deployengine.catalog.process import Script, Step, each_script, each_step, hooks
from deployengine.catalog.ranges import expand
from deployengine.domain.errors import Fault
from deployengine.domain.project import Hook, hook_name
from deployengine.domain.variables import Scope, key

#: A name, how people call what bears it, and where it stands inside its item.
Named = tuple[str, str, Path]


def duplicates(entries: Entries) -> Iterator[Fault]:
    """Every second thing of the same name, with the place of the first."""
    for section, kind in KINDS.items():
        yield from _items(entries.sections[section], kind)
        for entry in entries.sections[section]:
            if entry.model is not None:
                yield from _in_lists(entry, entry.model)
    yield from _workdirs(entries)
    for lifecycle_entry, lifecycle in entries.of("lifecycles", schema.Lifecycle):
        yield from _twice(lifecycle_entry, _named(lifecycle.phases, "phase", "phases"))
        yield from _twice(lifecycle_entry, _environments(lifecycle))
    for set_entry, found in entries.of("variable_sets", schema.VariableSet):
        yield from _variables(set_entry, found.variables)
    for entry, project in entries.of("projects", schema.Project):
        yield from _twice(entry, _named(project.channels, "channel", "channels"))
        yield from _twice(entry, _steps(project.process))
        for script, place in each_script(project.process):
            yield from _twice(entry, _touches(script, place))
        yield from _variables(entry, project.variables)


def _items(entries: Iterable[Entry[Any]], kind: str) -> Iterator[Fault]:
    """Once for each pair of items, since two ranges may share many names."""
    first: dict[str, Entry[Any]] = {}
    for entry in entries:
        own: set[str] = set()
        told: set[int] = set()
        for name in names(entry.model) if entry.model and entry.model.name else ():
            other = first.setdefault(name.casefold(), entry)
            again = other is not entry or name.casefold() in own
            own.add(name.casefold())
            if again and id(other) not in told:
                told.add(id(other))
                called = kind.replace("_", " ")
                yield entry.fault(
                    f"{called} {name!r} stands already in {other.line('name')}", "name"
                )


def _in_lists(entry: Entry[Any], part: BaseModel, place: Path = ()) -> Iterator[Fault]:
    for name, info in type(part).model_fields.items():
        value, at = getattr(part, name), (*place, info.alias or name)
        if DISTINCT in info.metadata:
            for index, each in enumerate(value):
                if each in value[:index]:
                    yield entry.fault(f"{each!r} is named twice", *at, index)
        elif isinstance(value, BaseModel):
            yield from _in_lists(entry, value, at)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, BaseModel):
                    yield from _in_lists(entry, each, (*at, index))


def _twice(entry: Entry[Any], named: Iterable[Named]) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for name, called, path in named:
        before = first.setdefault(name.casefold(), path)
        if before is not path:
            yield entry.fault(f"{called} stands already in {entry.line(*before)}", *path)


def _named(items: Iterable[Any], kind: str, place: str) -> Iterator[Named]:
    for index, item in enumerate(items):
        yield item.name, f"{kind} {item.name!r}", (place, index, "name")


def _environments(lifecycle: schema.Lifecycle) -> Iterator[Named]:
    for index, phase in enumerate(lifecycle.phases):
        for when, said in (("automatic", phase.automatic), ("manual", phase.manual)):
            for place, name in enumerate(said):
                yield name, f"environment {name!r}", ("phases", index, when, place)


def _steps(process: Sequence[Step]) -> Iterator[Named]:
    """All of a process, since variables are scoped by their names."""
    for step, place in each_step(process):
        yield step.name, f"step {step.name!r}", (*place, "name")
        for hook in hooks(step):
            name = hook_name(step.name, Hook(hook))
            yield name, f"step {name!r}", (*place, hook)
    for name, place in acquisitions(list(each_step(process))):
        yield name, f"step {name!r}, which brings the package,", place


def _touches(script: Script, place: Path) -> Iterator[Named]:
    for index, touch in enumerate(script.touches):
        path = (*place, "touches", index)
        yield f"{touch.resource}/{touch.everywhere}", f"resource {touch.resource!r}", path


def _variables(entry: Entry[Any], variables: Iterable[schema.Variable]) -> Iterator[Fault]:
    yield from _twice(entry, (_variable(v, i) for i, v in enumerate(variables)))


def _variable(variable: schema.Variable, index: int) -> Named:
    scope = Scope.from_document(variable_document(variable).get("scope", {}))
    alike = "/".join(f"{kind} {sorted(said)}" for kind, said in scope.to_document().items())
    called = f"variable {variable.name!r} with the same scope ({scope})"
    return f"{key(variable.name)}/{alike}", called, ("variables", index)


def _workdirs(entries: Entries) -> Iterator[Fault]:
    """Machines that share a folder would take each other's scripts for their own."""
    first: dict[str, tuple[str, Entry[schema.Machine]]] = {}
    for entry, machine in entries.of("machines", schema.Machine):
        for name in expand(machine.name):
            folder = workdir(name, machine).rstrip("/")
            reached = machine.connection
            host = f"{reached.host or name}:{reached.port}" if reached.kind == "ssh" else ""
            other, place = first.setdefault(f"{host}:{folder}", (name, entry))
            if "#{" not in folder and other.casefold() != name.casefold():
                message = (
                    f"machine {name!r} has the workdir of {other!r} ({place.line('name')}); "
                    "write #{machine} into it"
                )
                yield entry.fault(message, "connection", "workdir")
                break
