"""What is wrong with items whose every name is right: phases, folders, variables and more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from deployengine.catalog import schema
from deployengine.catalog.connection import unsound_connection
from deployengine.catalog.declared import Declared
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.freezes import unsound_freezes
from deployengine.catalog.kinds_of_steps import misfits
from deployengine.catalog.packages import unsound_feeds
from deployengine.catalog.timetable import Schedule
from deployengine.domain import flags
from deployengine.domain.errors import Fault
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.release import LATEST, BadVersion, check_version
from deployengine.domain.variables import is_system, key


def unsound(entries: Entries, declared: Declared) -> Iterator[Fault]:
    """Every item that could not work as it is written."""
    for machine_entry, machine in entries.of("machines", schema.Machine):
        yield from unsound_connection(machine_entry, machine.connection)
    for lifecycle_entry, lifecycle in entries.of("lifecycles", schema.Lifecycle):
        yield from _phases(lifecycle_entry, lifecycle, declared.environments)
    yield from _defaults(entries)
    for set_entry, variable_set in entries.of("variable_sets", schema.VariableSet):
        yield from _values(set_entry, variable_set.variables)
    for entry, project in entries.of("projects", schema.Project):
        yield from _lifecycle(entry, project, declared.default_lifecycle)
        yield from _values(entry, project.variables)
        yield from misfits(entry, project)
    for schedule_entry, schedule in entries.of("schedules", Schedule):
        yield from _release(schedule_entry, schedule)
    yield from unsound_freezes(entries)
    yield from unsound_feeds(entries)


def _phases(
    entry: Entry[schema.Lifecycle], lifecycle: schema.Lifecycle, environments: Sequence[str]
) -> Iterator[Fault]:
    filled = Lifecycle.from_document(lifecycle.model_dump()).filled(environments)
    for index, phase in enumerate(filled.phases):
        count = len(phase.environments)
        if count == 0 and environments:
            message = f"no environment is left for phase {phase.name!r}: earlier phases name all"
            yield entry.fault(message, "phases", index)
        elif phase.minimum > count:
            message = f"{phase.minimum} is more than the environments of the phase ({count})"
            yield entry.fault(message, "phases", index, "minimum")


def _defaults(entries: Entries) -> Iterator[Fault]:
    first: Entry[schema.Lifecycle] | None = None
    for entry, lifecycle in entries.of("lifecycles", schema.Lifecycle):
        if lifecycle.default and first is not None:
            message = f"there is a default lifecycle already ({first.line('default')})"
            yield entry.fault(message, "default")
        elif lifecycle.default:
            first = entry


def _lifecycle(
    entry: Entry[schema.Project], project: schema.Project, default: str | None
) -> Iterator[Fault]:
    if not (project.lifecycle or default or entry.says("lifecycle")):
        message = "'lifecycle' is missing, and no lifecycle says default: true"
        yield entry.fault(message)


def _release(entry: Entry[Schedule], schedule: Schedule) -> Iterator[Fault]:
    if schedule.release == LATEST:
        return
    try:
        check_version(schedule.release)
    except BadVersion as error:
        yield entry.fault(str(error), "release")


def _values(entry: Entry[Any], variables: Sequence[schema.Variable]) -> Iterator[Fault]:
    for index, variable in enumerate(variables):
        place = ("variables", index)
        if is_system(variable.name):
            message = f"the engine itself sets {variable.name}; choose another name"
            yield entry.fault(message, *place, "name")
        elif not (entry.says(*place, "value") or _is_asked_for(entry, variable, index)):
            yield entry.fault("'value' is missing", *place)
        elif key(variable.name) == key(flags.BYPASS) and not _is_flag(variable):
            said = "the value" if variable.sensitive else repr(variable.value)
            message = f"{said} is neither True nor False, as {variable.name} must be"
            yield entry.fault(message, *place, "value")


def _is_asked_for(entry: Entry[Any], variable: schema.Variable, index: int) -> bool:
    return bool(variable.prompt) or entry.refused(variable, "variables", index, "prompt")


def _is_flag(variable: schema.Variable) -> bool:
    """What refers to another variable, or is asked for, is known only at a deployment."""
    if "#{" in variable.value or (variable.prompt and not variable.value):
        return True
    if "value" not in variable.model_fields_set:
        return True  # it has a fault already
    try:
        flags.bypass(variable.value)
    except flags.UnparsableFlag:
        return False
    return True
