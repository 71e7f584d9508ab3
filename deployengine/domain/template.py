"""Templates: what a text with ``#{…}`` in it is made of, and which variables it refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deployengine.domain.variables import key

#: Names that a loop gives a value to beside that of its item.
EACH_INDEX = "Octopus.Template.Each.Index"
EACH_FIRST = "Octopus.Template.Each.First"
EACH_LAST = "Octopus.Template.Each.Last"


@dataclass(frozen=True, slots=True)
class Call:
    """A filter with its options, each of which is a text or is worked out."""

    filter: str
    options: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """``#{Name | Filter option … | raw}``.

    A name may hold references, as in ``Octopus.Action[#{Name}].Output.Port``; then it has more
    than one part. ``words`` is what stands between the braces, ``source`` all of it; ``at`` is
    where it stands in the text, and ``line`` counts from 1.
    """

    name: tuple[str | Reference, ...]
    calls: tuple[Call, ...]
    raw: bool
    words: str
    source: str
    at: int
    line: int

    @property
    def plain_name(self) -> str | None:
        """The name as it is written, ``None`` where it holds references."""
        return self.name[0] if len(self.name) == 1 and isinstance(self.name[0], str) else None


Operand = str | Reference


@dataclass(frozen=True, slots=True)
class Condition:
    """An operand that must be true or, with a ``sign`` of ``==`` or ``!=``, the two compared."""

    left: Operand
    sign: str = ""
    right: Operand = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """``#{if …}``: the text of the first condition that holds, else the other one.

    ``#{unless …}`` is the same with its two texts exchanged.
    """

    branches: tuple[tuple[Condition, tuple[Part, ...]], ...]
    otherwise: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """``#{each item in Collection}``: the body once for each item."""

    item: str
    collection: Reference
    body: tuple[Part, ...]


Part = str | Reference | Choice | Loop
Template = tuple[Part, ...]


def head(name: str) -> str:
    """The key of what stands before the first dot or bracket of a name."""
    return key(re.split(r"[.\[]", name, maxsplit=1)[0])


def names(template: Template, given: frozenset[str] = frozenset()) -> Iterator[str]:
    """The variables that a template refers to, on any of its ways, in order.

    ``given`` are the keys that a loop around it gives values to. A name that holds references is
    known only with their values, so it is left out.
    """
    for part in template:
        yield from _names_of(part, given)


def _names_of(part: Part, given: frozenset[str]) -> Iterator[str]:
    if isinstance(part, Reference):
        yield from _names_in(part, given)
    elif isinstance(part, Choice):
        for condition, text in part.branches:
            yield from names((condition.left, condition.right, *text), given)
        yield from names(part.otherwise, given)
    elif isinstance(part, Loop):
        yield from _names_in(part.collection, given)
        yield from names(part.body, given | _given_by(part))


def _given_by(loop: Loop) -> set[str]:
    return {key(name) for name in (loop.item, EACH_INDEX, EACH_FIRST, EACH_LAST)}


def _names_in(reference: Reference, given: frozenset[str]) -> Iterator[str]:
    name = reference.plain_name
    if name is None:
        yield from names(tuple(part for part in reference.name if not isinstance(part, str)), given)
    elif key(name) not in given and head(name) not in given:
        yield name
    for call in reference.calls:
        yield from names(call.options, given)


def needed(template: Template, given: frozenset[str] = frozenset()) -> Iterator[Reference]:
    """The references that must lead to a value when the template comes to them, in order.

    Not those of conditions and to what a loop goes through, which may have none; nor those within
    the texts of a condition, which may never be taken. A name that holds references is left out.
    """
    for part in template:
        if isinstance(part, Reference):
            yield from _needed_by(part, given)
        elif isinstance(part, Loop):
            yield from needed(part.body, given | _given_by(part))


def _needed_by(reference: Reference, given: frozenset[str]) -> Iterator[Reference]:
    name = reference.plain_name
    if name is None:
        yield from needed(
            tuple(part for part in reference.name if not isinstance(part, str)), given
        )
    elif key(name) not in given and head(name) not in given:
        yield reference
    for call in reference.calls:
        yield from needed(call.options, given)


def ways(template: Template) -> list[list[str | Reference]]:
    """Texts that the template may come to, such that each part of it stands in one of them.

    Not every combination of branches: that would be too many. A loop's body is taken once.
    """
    parts = [_ways_of(part) for part in template]
    count = max(map(len, parts), default=1)
    return [
        [piece for way in parts for piece in way[min(number, len(way) - 1)]]
        for number in range(count)
    ]


def _ways_of(part: Part) -> list[list[str | Reference]]:
    if isinstance(part, Choice):
        texts = [*(text for _, text in part.branches), part.otherwise]
        return [way for text in texts for way in ways(text)]
    if isinstance(part, Loop):
        return ways(part.body)
    return [[part]]
