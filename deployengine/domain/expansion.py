"""Expansion: what the parts of a template come to with the values of a place.

What is inserted from a sensitive value, changed by a filter or not, is sensitive, and is told along
with the text. A condition inserts nothing: the texts of its branches are the author's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from deployengine.domain import filters
from deployengine.domain.loop_items import indexes, is_json
from deployengine.domain.reference_errors import (
    BadReference,
    FilterFailed,
    TooMuch,
    UnknownVariable,
    VariableCycle,
)
from deployengine.domain.template import (
    EACH_FIRST,
    EACH_INDEX,
    EACH_LAST,
    Call,
    Choice,
    Condition,
    Loop,
    Operand,
    Reference,
    Template,
    head,
)
from deployengine.domain.template_parser import parse
from deployengine.domain.truth import truth
from deployengine.domain.values import Insertion, Plain, secret
from deployengine.domain.variables import MASK, key

#: Values that refer to values that refer …: so deep and no deeper.
_DEEPEST = 100

#: The most characters that one expansion may write, what is inserted several times counted each
#: time: a few lines that double each other could ask for more than there is memory. Each piece of
#: a text counts as so many at least, which bounds loops whose bodies are empty.
_MOST = 50_000_000
_PIECE = 256


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a template: where it stands, and what its loops give names to.

    ``numbered`` where its lines are counted in errors, ``hidden`` where it must not be shown in
    them. ``items`` are the values of a loop's names by key. ``aliases`` are names that stand for
    the beginning of others: within ``#{each a in Octopus.Action}`` the ``a`` of ``a.Output.Port``.
    """

    place: str | None = None
    numbered: bool = False
    hidden: bool = False
    items: Mapping[str, Insertion] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def full(self, name: str) -> str:
        """The key of the variable that a name means here."""
        wanted, first = key(name), head(name)
        return self.aliases[first] + wanted[len(first) :] if first in self.aliases else wanted

    def where(self, reference: Reference) -> str | None:
        """Where the reference stands, for errors."""
        return f"line {reference.line} of {self.place}" if self.numbered else self.place


@dataclass(frozen=True, slots=True)
class Placed:
    """A reference and what is around it."""

    reference: Reference
    around: Around


class Expansion:
    """One walk through the values; what was expanded once is not expanded again.

    All of it raises :class:`UnknownVariable`, :class:`VariableCycle`, :class:`BadReference`,
    :class:`FilterFailed` and :class:`TooMuch`.
    """

    def __init__(self, values: Mapping[str, Plain]) -> None:
        self._values = values
        self._done: dict[str, Insertion] = {}
        self._path: list[str] = []
        self._written = 0

    def variable(self, name: str) -> Insertion:
        """A variable's value with all references in it resolved.

        It may be asked for another one afterwards, also when this one failed.
        """
        self._path.clear()
        self._written = 0
        found = self._variable(key(name))
        if found is None:
            raise self._unknown(name, None)
        return found

    def text(self, template: Template, around: Around) -> Insertion:
        """A template with its values in place."""
        pieces: list[str] = []
        sensitive, secrets = False, frozenset[str]()
        for part in self.flat(template, around):
            if isinstance(part, Placed):
                inserted = self.value(part)
                sensitive = sensitive or inserted.sensitive
                secrets |= inserted.secrets
                part = inserted.text
            self._count(part)
            pieces.append(part)
        return Insertion("".join(pieces), sensitive, secrets)

    def flat(self, template: Template, around: Around) -> Iterator[str | Placed]:
        """The texts and references that are left when all conditions and loops are worked out."""
        for part in template:
            if isinstance(part, Reference):
                yield Placed(part, around)
            elif isinstance(part, Choice):
                yield from self.flat(self._chosen(part, around), around)
            elif isinstance(part, Loop):
                for inside in self._rounds(part, around):
                    self._count("")
                    yield from self.flat(part.body, inside)
            else:
                yield part

    def value(self, placed: Placed) -> Insertion:
        """What a reference comes to, its filters applied."""
        found = self.optional(placed)
        if found is None:
            reference, around = placed.reference, placed.around
            name = self._name(reference, around)
            shown = MASK if around.hidden or name.sensitive else name.text
            raise self._unknown(shown, around.where(reference))
        return found

    def optional(self, placed: Placed) -> Insertion | None:
        """As :meth:`value`; ``None`` where the variable has no value here."""
        name = self._name(placed.reference, placed.around).text
        found = placed.around.items.get(key(name))
        if found is None:
            found = self._variable(placed.around.full(name))
        if found is not None:
            for call in placed.reference.calls:
                found = self._changed(found, call, placed)
        return found

    def _variable(self, wanted: str) -> Insertion | None:
        if wanted in self._done:
            return self._done[wanted]
        plain = self._values.get(wanted)
        if plain is None:
            return None
        if wanted in self._path:
            circle = [*self._path[self._path.index(wanted) :], wanted]
            raise VariableCycle(tuple(self._values[member].name for member in circle))
        place = f"variable {plain.name}"
        if len(self._path) >= _DEEPEST:
            raise BadReference(
                f"more than {_DEEPEST} variables refer to each other in a row", place
            )
        self._path.append(wanted)
        try:
            template = parse(plain.text, plain.sensitive)
        except BadReference as bad:
            raise BadReference(bad.what, place, bad.advice) from None
        inserted = self.text(template, Around(place, hidden=plain.sensitive))
        if plain.sensitive or inserted.sensitive:
            inserted = secret(inserted.text, inserted.secrets)
        self._path.pop()
        self._done[wanted] = inserted
        return inserted

    def _name(self, reference: Reference, around: Around) -> Insertion:
        plain = reference.plain_name
        return self.text(reference.name, around) if plain is None else Insertion(plain)

    def _changed(self, value: Insertion, call: Call, placed: Placed) -> Insertion:
        """What a filter makes of a value."""
        around = placed.around
        options = [self.text((option,), around) for option in call.options]
        try:
            text = filters.apply(call.filter, [option.text for option in options], value.text)
        except (filters.BadOption, filters.Unfit) as wrong:
            hidden = around.hidden or any(option.sensitive for option in options)
            told = "" if hidden and isinstance(wrong, filters.BadOption) else f": {wrong}"
            shown = MASK if around.hidden else placed.reference.source
            what = f"the filter {call.filter} of {shown} cannot be applied{told}"
            raise FilterFailed(what, around.where(placed.reference)) from None
        self._count(text)
        secrets = value.secrets.union(*(option.secrets for option in options))
        if value.sensitive or any(option.sensitive for option in options):
            return secret(text, secrets)
        return Insertion(text, False, secrets)

    # Conditions and loops.

    def _chosen(self, choice: Choice, around: Around) -> Template:
        for condition, text in choice.branches:
            if self._holds(condition, around):
                return text
        return choice.otherwise

    def _holds(self, condition: Condition, around: Around) -> bool:
        left = self._operand(condition.left, around)
        if not condition.sign:
            return truth(left)
        equal = left == self._operand(condition.right, around)
        return equal if condition.sign == "==" else not equal

    def _operand(self, operand: Operand, around: Around) -> str:
        """A variable that has no value counts as the empty text, whatever filters it has."""
        if isinstance(operand, str):
            return operand
        found = self.optional(Placed(operand, around))
        return found.text if found else ""

    def _rounds(self, loop: Loop, around: Around) -> Iterator[Around]:
        """What is around the body of a loop, once for each item."""
        items = self._items(loop.collection, around)
        own = key(loop.item)
        for number, (item, alias) in enumerate(items):
            given = {
                own: item,
                key(EACH_INDEX): Insertion(str(number)),
                key(EACH_FIRST): Insertion(str(number == 0)),
                key(EACH_LAST): Insertion(str(number == len(items) - 1)),
            }
            aliases = {name: full for name, full in around.aliases.items() if name != own}
            if alias is not None:
                aliases[own] = alias
            yield replace(around, items={**around.items, **given}, aliases=aliases)

    def _items(self, collection: Reference, around: Around) -> list[tuple[Insertion, str | None]]:
        """The indexes of ``Name[…]`` and what they stand for, else what commas set apart."""
        base = around.full(self._name(collection, around).text)
        names = (plain.name for plain in self._values.values())
        if not collection.calls and (found_indexes := indexes(names, base)):
            return [(Insertion(i), f"{base}[{i.casefold()}]") for i in found_indexes]
        found = self.optional(Placed(collection, around))
        if found is None or found.text == "":
            return []
        if is_json(found.text):
            shown = MASK if around.hidden else collection.source
            what = f"{shown} holds JSON, which #{{each}} does not take apart here"
            raise BadReference(what, around.where(collection), "set the items apart by commas")
        pieces = found.text.split(",")
        if found.sensitive:
            return [(secret(piece, found.secrets), None) for piece in pieces]
        return [(Insertion(piece), None) for piece in pieces]

    # Bounds.

    def _count(self, text: str) -> None:
        self._written += len(text) + _PIECE
        if self._written > _MOST:
            raise TooMuch(
                f"the values come to more than {_MOST:,} characters",
                f"variable {self._values[self._path[0]].name}" if self._path else None,
                "look for a value that inserts another many times",
            )

    def _unknown(self, name: str, where: str | None) -> UnknownVariable:
        known = () if name == MASK else (plain.name for plain in self._values.values())
        return UnknownVariable(name, known, where)


@contextmanager
def bounded() -> Iterator[None]:
    """Tells what stands too deep within one another as any other fault of a text."""
    try:
        yield
    except RecursionError:
        raise TooMuch("values, filters and conditions stand too deep in one another") from None
