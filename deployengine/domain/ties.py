"""Ties: variables of which two values may apply equally, looked for before anything runs.

A script that begins is the last moment to find one; a plan is a better one. To resolve every
variable for every run would cost more than all other planning, so only those names are resolved
whose values could meet at all: mostly none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from deployengine.domain.variables import KINDS, Scope, Source, Variable, key

#: The only kind of which a place has several: two values may apply there that name different ones.
_MANY = "roles"


def may_tie(sources: Sequence[Source]) -> tuple[str, ...]:
    """The names of which one source has two values that apply equally in some place."""
    found = set()
    for source in sources:
        values: defaultdict[str, list[Variable]] = defaultdict(list)
        for variable in source.variables:
            values[key(variable.name)].append(variable)
        for name, alike in values.items():
            if any(_may_meet(a.scope, b.scope) for a, b in combinations(alike, 2)):
                found.add(name)
    return tuple(sorted(found))


def _may_meet(one: Scope, other: Scope) -> bool:
    return one.specificity == other.specificity and not any(
        set(one.of(kind)).isdisjoint(other.of(kind))
        for kind in KINDS
        if kind != _MANY and one.of(kind)
    )
