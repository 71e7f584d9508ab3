"""Insertion: ``#{Name}`` in a text gives way to the variable's value.

What may stand in ``#{…}`` is in :mod:`~deployengine.domain.template_parser`. Values may refer to
further variables. What is built from a sensitive value is sensitive, and every secret that went
into a text is told along with it, so that logs can mask it.

In a script the value is quoted for the place in which it stands
(:mod:`~deployengine.domain.shell_quoting`), hence one reference is always one word or part of one;
``#{Name | raw}`` inserts it as it is, as code. The text of the branch that a condition chooses is
put in before a shell's places are looked for, as raw values are: it is the author's own code, and
what follows depends on it. References in the comments of a shell script stay as written. In other
texts ``raw`` changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from deployengine.domain import template
from deployengine.domain.errors import RequestError
from deployengine.domain.expansion import Around, Expansion, Placed, bounded
from deployengine.domain.reference_errors import (
    BadReference,
    FilterFailed,
    NulInValue,
    TooMuch,
    UnknownVariable,
    Unquotable,
    VariableCycle,
)
from deployengine.domain.shell_quoting import MARK, Kind, Place, places, quote
from deployengine.domain.template import Reference, Template, names, ways
from deployengine.domain.template_parser import parse
from deployengine.domain.values import Insertion, Plain
from deployengine.domain.variable_circles import find_cycles
from deployengine.domain.variables import Resolved, Sealed, key

__all__ = [
    "BadReference",
    "FilterFailed",
    "Insertion",
    "NulInValue",
    "Plain",
    "TooMuch",
    "UnknownVariable",
    "Unquotable",
    "VariableCycle",
    "expand",
    "expand_all",
    "find_cycles",
    "find_unquotable",
    "insert",
    "insert_script",
    "needed",
    "needed_in_script",
    "plain_values",
    "references",
]

#: A reference, alone or with what is around it.
T = TypeVar("T", Reference, Placed)

_SCRIPT = Around("the script", numbered=True)


def plain_values(
    resolved: Mapping[str, Resolved], unseal: Callable[[Sealed], str]
) -> dict[str, Plain]:
    """What the functions below look names up in, from what ``resolve_all`` found."""
    return {
        name: Plain(
            r.name, unseal(r.value) if isinstance(r.value, Sealed) else r.value, r.sensitive
        )
        for name, r in resolved.items()
    }


def references(text: str) -> tuple[str, ...]:
    """The names that a text refers to, on any way through its conditions, each once, in order.

    Raises :class:`BadReference` for a text that cannot be read.
    """
    return tuple({key(name): name for name in names(parse(text))}.values())


def needed(text: str) -> dict[str, int]:
    """The names of variables that a text must have a value of, each with its first line.

    Raises :class:`BadReference` for a text that cannot be read.
    """
    return _first_lines(template.needed(parse(text)))


def needed_in_script(script: str) -> dict[str, int]:
    """As :func:`needed` for a script, in whose comments nothing is put in unless asked raw."""
    readable = _readable(script)
    comments = [
        range(part.at, part.at + len(part.source))
        for way in ways(readable)
        for part, place in _with_places(_raw_as_words(way))
        if isinstance(part, Reference) and place.kind is Kind.COMMENT
    ]
    found = template.needed(readable)
    return _first_lines(r for r in found if not any(r.at in comment for comment in comments))


def _first_lines(found: Iterable[Reference]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for reference in found:
        lines.setdefault(reference.plain_name or "", reference.line)
    return lines


@bounded()
def expand(name: str, values: Mapping[str, Plain]) -> Insertion:
    """A variable's value with all references in it resolved; raises as :class:`Expansion`."""
    return Expansion(values).variable(name)


def expand_all(values: Mapping[str, Plain]) -> dict[str, Insertion]:
    """All values by key, their references resolved; one that cannot be worked out is left out."""
    expansion = Expansion(values)
    found = {}
    for name in values:
        with suppress(RequestError), bounded():
            found[name] = expansion.variable(name)
    return found


@bounded()
def insert(text: str, values: Mapping[str, Plain]) -> Insertion:
    """A plain text (a folder, a URL) with the values in place; raises as :func:`expand`."""
    return Expansion(values).text(parse(text), Around())


@bounded()
def insert_script(script: str, values: Mapping[str, Plain]) -> Insertion:
    """A script with the values in place, each quoted for where it stands unless asked raw.

    Raises :class:`Unquotable` where that cannot be done, and as :func:`expand`.
    """
    expansion = Expansion(values)
    secrets: set[str] = set()
    sensitive = False

    def value_of(placed: Placed) -> str:
        nonlocal sensitive
        inserted = expansion.value(placed)
        sensitive = sensitive or inserted.sensitive
        secrets.update(inserted.secrets)
        if MARK in inserted.text:
            raise NulInValue(placed.reference.words)
        return inserted.text

    parts = [
        value_of(part) if isinstance(part, Placed) and part.reference.raw else part
        for part in expansion.flat(_readable(script), _SCRIPT)
    ]
    written: list[str] = []
    for part, place in _with_places(parts):
        if isinstance(part, str):
            written.append(part)
        elif place.kind is Kind.COMMENT:
            written.append(part.reference.source)
        elif place.kind is Kind.REFUSED:
            raise Unquotable(part.reference.words, part.reference.line, place.reason)
        else:
            written.append(quote(value_of(part), place))
    return Insertion("".join(written), sensitive, frozenset(secrets | _traces(secrets)))


def find_unquotable(script: str) -> tuple[Unquotable, ...]:
    """Every reference of a script that :func:`insert_script` would refuse, whatever its value.

    A raw reference is taken for a plain word, since its value is not known yet; and a reference
    among conditions counts if it is refused on each way through them that is looked at.
    """
    refused: dict[int, Unquotable] = {}
    accepted: set[int] = set()
    for way in ways(_readable(script)):
        for part, place in _with_places(_raw_as_words(way)):
            if isinstance(part, str):
                continue
            if place.kind is Kind.REFUSED:
                refused.setdefault(part.at, Unquotable(part.words, part.line, place.reason))
            else:
                accepted.add(part.at)
    return tuple(refused[at] for at in sorted(refused) if at not in accepted)


def _raw_as_words(way: Sequence[str | Reference]) -> list[str | Reference]:
    """What is put in as code, and is not known yet, taken for a plain word."""
    return ["raw" if isinstance(part, Reference) and part.raw else part for part in way]


def _readable(script: str) -> Template:
    if MARK in script:
        raise BadReference("the script holds a NUL character, which no shell can read")
    return parse(script)


def _with_places(parts: Sequence[str | T]) -> Iterator[tuple[str | T, Place]]:
    """The parts of a script; what is no text yet comes with the place in which it stands."""
    found = iter(places("".join(part if isinstance(part, str) else MARK for part in parts)))
    none = Place(Kind.BARE)
    return ((part, none if isinstance(part, str) else next(found)) for part in parts)


def _traces(secrets: set[str]) -> set[str]:
    """The forms in which the traces of shells (``set -x``) write a quote within these values."""
    return {s.replace("'", quote) for s in secrets for quote in ("'\\''", "'\"'\"'")}
