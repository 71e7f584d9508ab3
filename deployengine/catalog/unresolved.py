"""References to variables that there are not, in whatever place they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deployengine.catalog import schema
from deployengine.catalog.declared import inside, steps
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.lines import Path
from deployengine.catalog.process import ScriptStep, Step, each_script, each_step
from deployengine.catalog.tools import tool_texts
from deployengine.domain.bearers import Bearers
from deployengine.domain.errors import Fault, did_you_mean
from deployengine.domain.insertion import BadReference, needed, needed_in_script

_ADVICE = "write ##{ where the text shall hold #{ itself"
_HIDDEN = f"the value refers to a variable that there is not; {_ADVICE}"

#: What the projects have whose texts may hold a reference; ``None``: of one it is not known.
Among = Sequence[Bearers | None]


def unresolved(entries: Entries) -> Iterator[Fault]:
    """What no deployment could work out: references of scripts and conditions."""
    for entry, project, bearers in _projects(entries):
        for step, place in each_script(project.process):
            texts: list[tuple[str, Path, Callable[[str], dict[str, int]]]] = [
                (step.script, ("script",), needed_in_script),
                (step.runs_on or "", ("runs_on",), needed),
            ]
            if isinstance(step, ScriptStep):
                texts += [
                    (step.condition, ("condition",), needed),
                    (step.into, ("into",), needed),
                    *((text, path, needed) for path, text in tool_texts(step)),
                ]
            for text, path, look in texts:
                for message in _messages(text, look, [bearers]):
                    yield entry.fault(message, *place, *path)


def doubtful(entries: Entries) -> Iterator[Fault]:
    """References that may do no harm: of values, which nothing may use, and of instructions.

    Those of a set are told if none of the projects that include it has the variable.
    """
    users: dict[str, list[Bearers | None]] = {}
    for entry, project, bearers in _projects(entries):
        for name in project.include:
            users.setdefault(name, []).append(bearers)
        yield from _values(entry, project.variables, [bearers])
        for step, place in each_step(project.process):
            if isinstance(step, Step):
                for message in _messages(step.instructions, needed, [bearers]):
                    yield entry.fault(message, *place, "instructions")
    for set_entry, variable_set in entries.of("variable_sets", schema.VariableSet):
        yield from _values(set_entry, variable_set.variables, users.get(variable_set.name, ()))


def _projects(
    entries: Entries,
) -> Iterator[tuple[Entry[schema.Project], schema.Project, Bearers | None]]:
    """All of them; what one has is not known if it includes something that is not there."""
    sets = {
        found.name: tuple(inside(entry, "variables"))
        for entry, found in entries.of("variable_sets", schema.VariableSet)
    }
    for entry, project in entries.of("projects", schema.Project):
        bearers = None
        if not entry.refused(project, "include") and sets.keys() >= set(project.include):
            included = (name for each in project.include for name in sets[each])
            bearers = Bearers([*inside(entry, "variables"), *included], steps(entry))
        yield entry, project, bearers


def _values(
    entry: Entry[Any], variables: Sequence[schema.Variable], among: Among
) -> Iterator[Fault]:
    for index, variable in enumerate(variables):
        for message in _messages(variable.value, needed, among):
            said = _HIDDEN if variable.sensitive else message
            yield entry.fault(said, "variables", index, "value")


def _messages(text: str, look: Callable[[str], dict[str, int]], among: Among) -> Iterator[str]:
    try:
        found = look(text)
    except BadReference:
        return  # it has a fault already
    for name, line in found.items():
        lacking = [None if bearers is None else bearers.lacking(name) for bearers in among]
        if lacking and lacking[0] and all(lacking):
            where = f"line {line}: " if "\n" in text.strip("\n") else ""
            meant = did_you_mean(lacking[0].suggestion)
            yield f"{where}{lacking[0].what}; {f'{meant} Or ' if meant else ''}{_ADVICE}"
