"""References of values, scripts and other texts that can be seen to lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deployengine.catalog import schema
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.items import variable_document
from deployengine.catalog.lines import Path
from deployengine.catalog.process import ScriptStep, Step, each_script
from deployengine.catalog.tools import tool_texts
from deployengine.domain.errors import Fault, RequestError
from deployengine.domain.insertion import (
    BadReference,
    VariableCycle,
    find_cycles,
    find_unquotable,
    references,
)
from deployengine.domain.variables import Variable, key

_UNREADABLE = (
    "the value holds a #{ that begins no reference, or a filter that there is not; "
    "write ##{ for the signs themselves"
)


def misled(entries: Entries) -> Iterator[Fault]:
    """Unreadable references, unknown filters, what no shell could be given safely, and circles.

    A circle inside a set is told there, not again for each project that includes it. A name that
    no variable bears is no fault yet: an earlier step may put it out.
    """
    sets: dict[str, Sequence[schema.Variable]] = {}
    known: set[frozenset[str]] = set()
    for set_entry, variable_set in entries.of("variable_sets", schema.VariableSet):
        sets.setdefault(variable_set.name, variable_set.variables)
        yield from _values(set_entry, variable_set.variables)
        for cycle in _cycles(variable_set.variables):
            known.add(_members(cycle))
            yield _fault(set_entry, variable_set.variables, cycle)
    for entry, project in entries.of("projects", schema.Project):
        yield from _values(entry, project.variables)
        yield from _steps(entry, project)
        included = [v for name in project.include for v in sets.get(name, ())]
        for cycle in _cycles([*project.variables, *included]):
            if _members(cycle) not in known:
                yield _fault(entry, project.variables, cycle)


def _values(entry: Entry[Any], variables: Sequence[schema.Variable]) -> Iterator[Fault]:
    for index, variable in enumerate(variables):
        try:
            references(variable.value)
        except BadReference as error:
            where = error.where if "\n" in variable.value else None
            told = RequestError(error.what, where, error.advice)
            said = _UNREADABLE if variable.sensitive else str(told)
            yield entry.fault(said, "variables", index, "value")


def _steps(entry: Entry[schema.Project], project: schema.Project) -> Iterator[Fault]:
    for step, place in each_script(project.process):
        wrong = {"script": _in_script(step.script), "runs_on": _in_text(step.runs_on or "")}
        if isinstance(step, ScriptStep):
            wrong |= {"condition": _in_text(step.condition), "into": _in_text(step.into)}
        if isinstance(step, Step):
            wrong["instructions"] = _in_text(step.instructions)
        for where, errors in wrong.items():
            yield from (entry.fault(str(error), *place, where) for error in errors)
        for path, text in tool_texts(step) if isinstance(step, ScriptStep) else ():
            yield from (entry.fault(str(error), *place, *path) for error in _in_text(text))


def _in_script(script: str) -> Sequence[RequestError]:
    try:
        return find_unquotable(script)
    except BadReference as error:
        return [error]


def _in_text(text: str) -> Sequence[RequestError]:
    try:
        references(text)
    except BadReference as error:
        return [error]
    return []


def _cycles(variables: Iterable[schema.Variable]) -> tuple[VariableCycle, ...]:
    return find_cycles([Variable.from_document(variable_document(v)) for v in variables])


def _members(cycle: VariableCycle) -> frozenset[str]:
    return frozenset(map(key, cycle.names))


def _fault(entry: Entry[Any], variables: Sequence[schema.Variable], cycle: VariableCycle) -> Fault:
    """At the first of the item's own variables that takes part, else at what it includes."""
    members = _members(cycle)
    own = (i for i, variable in enumerate(variables) if key(variable.name) in members)
    index = next(own, None)
    place: Path = ("include",) if index is None else ("variables", index, "value")
    return entry.fault(str(cycle), *place)
