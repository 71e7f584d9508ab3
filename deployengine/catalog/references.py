"""Names that refer to something which the catalog does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from deployengine.catalog import schema
from deployengine.catalog.connection import SecretReference
from deployengine.catalog.declared import Declared, inside, steps
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.lines import Path
from deployengine.catalog.packages import Feed
from deployengine.catalog.process import Step, each_script, each_step
from deployengine.catalog.ranges import expand
from deployengine.catalog.timetable import Freeze, Schedule
from deployengine.catalog.wording import unknown
from deployengine.domain.errors import Fault
from deployengine.domain.variables import key as variable_key

#: What may be named by each kind of scope.
Known = dict[str, Collection[str]]


def references(entries: Entries, declared: Declared) -> Iterator[Fault]:
    """Every name that nothing bears, with the nearest that something does."""
    for machine_entry, machine in entries.of("machines", schema.Machine):
        found = _each(machine.environments, "environments")
        yield from _unknown(machine_entry, "environment", found, declared.environments)
    for lifecycle_entry, lifecycle in entries.of("lifecycles", schema.Lifecycle):
        for index, phase in enumerate(lifecycle.phases):
            for key, environments in (("automatic", phase.automatic), ("manual", phase.manual)):
                found = _each(environments, "phases", index, key)
                yield from _unknown(lifecycle_entry, "environment", found, declared.environments)
    for set_entry, variable_set in entries.of("variable_sets", schema.VariableSet):
        yield from _scopes(set_entry, variable_set.variables, _known_anywhere(declared))
    yield from _secrets(entries)
    for entry, project in entries.of("projects", schema.Project):
        yield from _project(entry, project, declared)
    for freeze_entry, freeze in entries.of("freezes", Freeze):
        found = _each(freeze.environments, "environments")
        yield from _unknown(freeze_entry, "environment", found, declared.environments)
        found = _each(freeze.projects, "projects")
        yield from _unknown(freeze_entry, "project", found, declared.projects)
    for schedule_entry, schedule in entries.of("schedules", Schedule):
        found = _one(schedule.project, "project")
        yield from _unknown(schedule_entry, "project", found, declared.projects)
        found = _one(schedule.environment, "environment")
        yield from _unknown(schedule_entry, "environment", found, declared.environments)


def _secrets(entries: Entries) -> Iterator[Fault]:
    """What is needed to reach machines and feeds must be there, and nowhere in clear."""
    for entry, machine in entries.of("machines", schema.Machine):
        for key in ("identity", "passphrase", "password"):
            said = getattr(machine.connection, key)
            yield from _secret(entry, said, entries, "connection", key)
    for feed_entry, feed in entries.of("feeds", Feed):
        yield from _secret(feed_entry, feed.password, entries, "password")


def _secret(
    entry: Entry[Any], said: SecretReference | None, entries: Entries, *path: str
) -> Iterator[Fault]:
    if said is None:
        return
    sets = {each.name: each for _, each in entries.of("variable_sets", schema.VariableSet)}
    yield from _unknown(entry, "variable set", _one(said.set, *path, "set"), sets)
    if said.set not in sets:
        return
    found = {variable_key(each.name): each for each in sets[said.set].variables}
    names = [each.name for each in found.values()]
    if variable_key(said.variable) not in found:
        yield entry.fault(unknown("variable", said.variable, names), *path, "variable")
    elif not found[variable_key(said.variable)].sensitive:
        message = f"variable {said.variable!r} is not sensitive; a secret must be"
        yield entry.fault(message, *path, "variable")


def _project(
    entry: Entry[schema.Project], project: schema.Project, declared: Declared
) -> Iterator[Fault]:
    known = _known_in(entry, project, declared)
    yield from _unknown(entry, "lifecycle", _one(project.lifecycle, "lifecycle"), declared.phases)
    for index, channel in enumerate(project.channels):
        found = _one(channel.lifecycle, "channels", index, "lifecycle")
        yield from _unknown(entry, "lifecycle", found, declared.phases)
    found = _each(project.include, "include")
    yield from _unknown(entry, "variable set", found, declared.variable_sets)
    for index, step in enumerate(project.process):
        yield from _step(entry, step, index, known)
    for script, place in each_script(project.process):
        name = script.runs_on or ""
        if name and "#{" not in name and name not in declared.machines:
            yield entry.fault(unknown("machine", name, declared.machines), *place, "runs_on")
    for each, place in each_step(project.process):
        yield from _unknown(entry, "feed", _one(each.feed, *place, "feed"), declared.feeds)
    yield from _scopes(entry, project.variables, known)


def _step(entry: Entry[schema.Project], step: Step, index: int, known: Known) -> Iterator[Fault]:
    """What says where and when a step runs; the steps of a group have none of their own."""
    for key, kind, said, among in (
        ("roles", "machine with the role", step.roles, "roles"),
        ("environments", "environment", step.environments, "environments"),
        ("exclude_environments", "environment", step.exclude_environments, "environments"),
        ("channels", "channel", step.channels, "channels"),
    ):
        yield from _unknown(entry, kind, _each(said, "process", index, key), known[among])


def _known_anywhere(declared: Declared) -> Known:
    return {
        "environments": declared.environments,
        "machines": declared.machines,
        "roles": declared.roles,
        "channels": declared.channels,
        "steps": declared.steps,
        "phases": {phase for phases in declared.phases.values() for phase in phases},
    }


def _known_in(entry: Entry[Any], project: schema.Project, declared: Declared) -> Known:
    """In a project, its own channels, steps and phases."""
    own_lifecycle = project.lifecycle or declared.default_lifecycle
    lifecycles = {own_lifecycle, *(channel.lifecycle for channel in project.channels)}
    own: Known = {
        "channels": set(inside(entry, "channels")),
        "steps": set(steps(entry)),
    }
    if lifecycles <= declared.phases.keys():
        own["phases"] = {phase for name in lifecycles if name for phase in declared.phases[name]}
    return {**_known_anywhere(declared), **own}


def _scopes(
    entry: Entry[Any], variables: Sequence[schema.Variable], known: Known
) -> Iterator[Fault]:
    for index, variable in enumerate(variables):
        for kind, said in variable.scope.model_dump().items():
            found = _each(said, "variables", index, "scope", kind)
            yield from _unknown(entry, kind.removesuffix("s"), found, known[kind])


def _each(names: Sequence[str], *path: str | int) -> Iterator[tuple[str, Path]]:
    return ((name, (*path, index)) for index, name in enumerate(names))


def _one(name: str | None, *path: str | int) -> Iterator[tuple[str, Path]]:
    """Nothing where the name is missing."""
    return iter([(name, path)] if name else [])


def _unknown(
    entry: Entry[Any], kind: str, found: Iterable[tuple[str, Path]], known: Collection[str]
) -> Iterator[Fault]:
    for said, path in found:
        missing = [name for name in _meant(kind, said) if name not in known]
        if missing:
            yield entry.fault(unknown(kind, missing[0], known), *path)


def _meant(kind: str, said: str) -> tuple[str, ...]:
    """Machines and projects may be named by a range."""
    return expand(said) if kind in ("machine", "project") else (said,)
