"""Explanation: what became of each value of a variable in a place; what a value is built from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployengine.domain.reference_errors import BadReference
from deployengine.domain.template import names
from deployengine.domain.template_parser import parse
from deployengine.domain.values import Plain
from deployengine.domain.variables import (
    SYSTEM_LABEL,
    Context,
    Resolved,
    Scope,
    Source,
    Variable,
    is_system,
    key,
    resolve,
)

#: So many names of a kind are told, and then how many more there are.
_FEW = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value of a variable: whether it applies and wins in a place, and a phrase that says why.

    ``source`` is the label of where it stands.
    """

    variable: Variable
    source: str
    applies: bool
    wins: bool
    why: str


def explain(name: str, sources: Sequence[Source], context: Context) -> tuple[Candidate, ...]:
    """Every value of a variable: the one that wins, those that apply, then the others.

    Raises :class:`~deployengine.domain.variables.AmbiguousVariable` as ``resolve`` does.
    """
    winner = resolve(name, sources, context)
    found = [
        _candidate(variable, source, winner, context)
        for source in sources
        for variable in source.variables
        if key(variable.name) == key(name)
    ]
    return tuple(sorted(found, key=_rank, reverse=True))


def _rank(candidate: Candidate) -> tuple[bool, bool, tuple[bool, ...]]:
    return candidate.wins, candidate.applies, candidate.variable.scope.specificity


def _candidate(
    variable: Variable, source: Source, winner: Resolved | None, context: Context
) -> Candidate:
    scope = variable.scope
    if source.label != SYSTEM_LABEL and is_system(variable.name):
        return Candidate(variable, source.label, False, False, "only the engine sets this variable")
    if winner is None or not scope.applies(context):
        why = "; ".join(_mismatches(scope, context))
        return Candidate(variable, source.label, False, False, why)
    if scope.specificity != winner.scope.specificity:
        why = f"{winner.scope} in {winner.source} is more specific"
    elif source.label != winner.source:
        why = f"as specific as the one in {winner.source}, which comes first"
    else:
        return Candidate(variable, source.label, True, True, winner.why)
    return Candidate(variable, source.label, True, False, why)


def _mismatches(scope: Scope, context: Context) -> Iterator[str]:
    for kind in scope.unmatched(context):
        here, one = context.offers(kind), kind.removesuffix("s")
        instead = f"here it is {' and '.join(here)}" if here else f"no {one} is given here"
        yield f"{one} {_alternatives(scope.of(kind))} does not match: {instead}"


def _alternatives(names: Sequence[str]) -> str:
    if len(names) > _FEW:
        return f"{', '.join(names[: _FEW - 1])} or {len(names) - _FEW + 1} others"
    return " or ".join(names)


def paths(name: str, values: Mapping[str, Plain]) -> tuple[tuple[str, ...], ...]:
    """The variables that a value is built from, directly or through others, in this order.

    Each as the shortest path of names that leads to it, the variable itself first; one that has no
    value is the end of its path. Into sensitive values nobody looks, nor into unreadable ones.
    """
    start: tuple[str, ...] = (values[key(name)].name,)
    found: dict[str, tuple[str, ...]] = {key(name): start}
    waiting = deque([start])
    while waiting:
        path = waiting.popleft()
        plain = values.get(key(path[-1]))
        for referred in _referred(plain):
            if key(referred) not in found:
                known = values.get(key(referred))
                found[key(referred)] = (*path, known.name if known else referred)
                waiting.append(found[key(referred)])
    return tuple(found.values())[1:]


def _referred(plain: Plain | None) -> tuple[str, ...]:
    try:
        return () if plain is None or plain.sensitive else tuple(names(parse(plain.text)))
    except BadReference:
        return ()
