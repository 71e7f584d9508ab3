"""Circles in which variables refer to each other, found before any of them is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from deployengine.domain.reference_errors import BadReference, VariableCycle
from deployengine.domain.template import names
from deployengine.domain.template_parser import parse
from deployengine.domain.variables import Sealed, Variable, key


def find_cycles(variables: Iterable[Variable]) -> tuple[VariableCycle, ...]:
    """The circles in which these variables refer to each other, scopes and conditions aside.

    Two values whose scopes never meet can form a circle on paper that no deployment would walk, and
    so can a branch that is never taken. It is reported all the same: a scope is edited more easily
    than anybody rereads every value, and a new name for one of the two is all it takes. Sealed
    values cannot be read here, and of malformed ones ``references`` tells; both count as referring
    to nothing.
    """
    shown: dict[str, str] = {}
    graph: dict[str, dict[str, None]] = {}
    for variable in variables:
        shown.setdefault(key(variable.name), variable.name.strip())
        referred = graph.setdefault(key(variable.name), {})
        referred.update(dict.fromkeys(map(key, _referred(variable))))
    cycles = []
    while (circle := _circle(graph)) is not None:
        del graph[circle[0]][circle[1]]
        cycles.append(VariableCycle(tuple(shown[name] for name in circle)))
    return tuple(cycles)


def _referred(variable: Variable) -> Iterable[str]:
    try:
        return () if isinstance(variable.value, Sealed) else names(parse(variable.value))
    except BadReference:
        return ()


def _circle(graph: Mapping[str, Mapping[str, None]]) -> list[str] | None:
    """One circle, from the variable of it that was defined first, back to it."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # The sorter tells each one before the one that refers to it.
        circle: list[str] = error.args[1][:0:-1]
        order = list(graph)
        first = circle.index(min(circle, key=order.index))
        return [*circle[first:], *circle[: first + 1]]
    return None
