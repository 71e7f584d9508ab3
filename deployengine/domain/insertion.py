"""Insertion: ``#{Name}`` in a text gives way to the variable's value.

Space around the name does not count, and ``##{`` stands for a literal ``#{``. Values may refer to
further variables. What is built from a sensitive value is sensitive, and every secret that went
into a text is told along with it, so that logs can mask it. In a script the value is quoted for
the place in which it stands (:mod:`~deployengine.domain.shell_quoting`), hence one reference is
always one word or part of one; ``#{Name | raw}`` inserts it as it is, as code. References in the
comments of a shell script stay as written. In other texts ``raw`` changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.shell_quoting import MARK, Kind, Place, places, quote
from deployengine.domain.variables import MASK, Resolved, Sealed, Variable, key

_TOKEN = re.compile(r"##\{|#\{(?P<inner>[^{}\n`]*)(?P<end>\}?)")
_BLOCK = re.compile(r"(?:if|unless|each)\s|/(?:if|unless|each)$|else$", re.IGNORECASE)

#: Values that refer to values that refer …: so deep and no deeper.
_DEEPEST = 100


class BadReference(RequestError):
    """A ``#{`` that begins no reference this engine can read."""


class UnknownVariable(UnknownName):
    """A reference to a variable that has no value in this context; ``where`` it is referred to."""

    def __init__(self, name: str, known: Iterable[str] = (), where: str | None = None) -> None:
        super().__init__("variable", name, known)
        self.what = f"no variable {name!r} has a value here"
        self.where = where
        self.args = (name, self.known, where)


class VariableCycle(RequestError):
    """Variables that refer to each other in a circle; the first of ``names`` is also the last."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(
            f"variables refer to each other in a circle: {' → '.join(names)}",
            None,
            "give one of them a value that does not lead back to it",
        )
        self.names = names
        self.args = (names,)


class Unquotable(RequestError):
    """A value cannot be put into a script's text as mere data where ``reference`` stands.

    ``line`` counts from 1 in the script as its author wrote it.
    """

    def __init__(self, reference: str, line: int, reason: str) -> None:
        super().__init__(
            f"the value of {reference} cannot be quoted here: {reason}",
            f"line {line} of the script",
            f"use \"$(get_variable '{reference}')\" or the environment where the script can, or "
            f"#{{{reference} | raw}} to insert it as code",
        )
        self.reference = reference
        self.line = line
        self.args = (reference, line, reason)


class NulInValue(RequestError):
    """The value of ``variable`` holds a NUL character, which no script can carry, quoted or raw."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"the value of {variable} holds a NUL character, which no script can carry",
            None,
            "send such data as a file",
        )
        self.variable = variable
        self.args = (variable,)


@dataclass(frozen=True, slots=True)
class Plain:
    """A variable's value, unsealed but with the references in it still standing."""

    name: str
    text: str = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Insertion:
    """A text with its values in place; ``secrets`` are what must never be shown of it."""

    text: str = field(repr=False)
    sensitive: bool = False
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class _Reference:
    name: str
    raw: bool
    source: str
    line: int


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
    """The names that a text refers to, each once, in order; raises :class:`BadReference`."""
    found = (part.name for part in _parts(text) if isinstance(part, _Reference))
    return tuple({key(name): name for name in found}.values())


def expand(name: str, values: Mapping[str, Plain]) -> Insertion:
    """A variable's value with all references in it resolved.

    Raises :class:`UnknownVariable`, :class:`VariableCycle` and :class:`BadReference`.
    """
    return _Expansion(values).variable(name, None)


def insert(text: str, values: Mapping[str, Plain]) -> Insertion:
    """A plain text (a folder, a URL) with the values in place; raises as :func:`expand`."""
    return _Expansion(values).text(text, None)


def insert_script(script: str, values: Mapping[str, Plain]) -> Insertion:
    """A script with the values in place, each quoted for where it stands unless asked raw.

    Raises :class:`Unquotable` where that cannot be done, and as :func:`expand`.
    """
    expansion = _Expansion(values)
    secrets: set[str] = set()
    sensitive = False

    def value_of(reference: _Reference) -> str:
        nonlocal sensitive
        inserted = expansion.variable(reference.name, f"line {reference.line} of the script")
        sensitive = sensitive or inserted.sensitive
        secrets.update(inserted.secrets)
        if MARK in inserted.text:
            raise NulInValue(reference.name)
        return inserted.text

    written: list[str] = []
    for part, place in _placed(script, value_of):
        if isinstance(part, str):
            written.append(part)
        elif place.kind is Kind.COMMENT:
            written.append(part.source)
        elif place.kind is Kind.REFUSED:
            raise Unquotable(part.name, part.line, place.reason)
        else:
            written.append(quote(value_of(part), place))
    return Insertion("".join(written), sensitive, frozenset(secrets | _traces(secrets)))


def _traces(secrets: set[str]) -> set[str]:
    """The forms in which the traces of shells (``set -x``) write a quote within these values."""
    return {s.replace("'", quote) for s in secrets for quote in ("'\\''", "'\"'\"'")}


def find_unquotable(script: str) -> tuple[Unquotable, ...]:
    """Every reference of a script that :func:`insert_script` would refuse, whatever its value.

    A raw reference is taken for a plain word, since its value is not known yet.
    """
    return tuple(
        Unquotable(part.name, part.line, place.reason)
        for part, place in _placed(script, lambda _: "raw")
        if isinstance(part, _Reference) and place.kind is Kind.REFUSED
    )


def find_cycles(variables: Iterable[Variable]) -> tuple[VariableCycle, ...]:
    """The circles in which these variables refer to each other, scopes aside.

    Two values whose scopes never meet can form a circle on paper that no deployment would walk.
    It is reported all the same: a scope is edited more easily than anybody rereads every value,
    and a new name for one of the two is all it takes. Sealed values cannot be read here, and of
    malformed ones :func:`references` tells; both count as referring to nothing.
    """
    names: dict[str, str] = {}
    graph: dict[str, dict[str, None]] = {}
    for variable in variables:
        names.setdefault(key(variable.name), variable.name.strip())
        referred = graph.setdefault(key(variable.name), {})
        referred.update(dict.fromkeys(map(key, _readable_references(variable))))
    cycles = []
    while (circle := _circle(graph)) is not None:
        del graph[circle[0]][circle[1]]
        cycles.append(VariableCycle(tuple(names[name] for name in circle)))
    return tuple(cycles)


def _readable_references(variable: Variable) -> tuple[str, ...]:
    try:
        return () if isinstance(variable.value, Sealed) else references(variable.value)
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


def _placed(
    script: str, raw_value: Callable[[_Reference], str]
) -> Iterator[tuple[str | _Reference, Place]]:
    """The parts of a script, the raw references replaced; a reference comes with its place.

    Raw values go in before the script is scanned: they are code that other places depend on.
    """
    if MARK in script:
        raise BadReference("the script holds a NUL character, which no shell can read")
    parts = [
        raw_value(part) if isinstance(part, _Reference) and part.raw else part
        for part in _parts(script)
    ]
    found = iter(places("".join(part if isinstance(part, str) else MARK for part in parts)))
    none = Place(Kind.BARE)
    return ((part, none if isinstance(part, str) else next(found)) for part in parts)


def _parts(text: str, hidden: bool = False) -> Iterator[str | _Reference]:
    """Literal text and references in turn; ``hidden`` keeps the text out of error messages."""
    at = 0
    for token in _TOKEN.finditer(text):
        yield text[at : token.start()]
        at = token.end()
        if token.group() == "##{":
            yield "#{"
        else:
            yield _reference(token, hidden)
    yield text[at:]


def _reference(token: re.Match[str], hidden: bool) -> _Reference:
    name, *filters = (word.strip() for word in token["inner"].split("|"))
    line = token.string.count("\n", 0, token.start()) + 1
    shown = MASK if hidden else token.group()
    problem = ""
    if not token["end"]:
        problem = "is not closed by a brace on its line, or holds another one"
    elif not name:
        problem = "names no variable"
    elif _BLOCK.match(name):
        problem = "is a condition or loop, which this engine does not have"
    elif unknown := [f for f in filters if f.casefold() != "raw"]:
        problem = f"asks for the filter {MASK if hidden else unknown[0]!r}; the only one is raw"
    if problem:
        raise BadReference(
            f"{shown} {problem}", f"line {line}", "write ##{ where the text shall hold #{ itself"
        )
    return _Reference(name, bool(filters), token.group(), line)


class _Expansion:
    """One walk through the values; what was expanded once is not expanded again."""

    def __init__(self, values: Mapping[str, Plain]) -> None:
        self.values = values
        self.done: dict[str, Insertion] = {}
        self.path: list[str] = []

    def variable(self, name: str, where: str | None, hidden: bool = False) -> Insertion:
        wanted = key(name)
        if wanted in self.done:
            return self.done[wanted]
        plain = self.values.get(wanted)
        if plain is None:
            if hidden:
                raise UnknownVariable(MASK, (), where)
            raise UnknownVariable(name, (v.name for v in self.values.values()), where)
        if wanted in self.path:
            circle = [*self.path[self.path.index(wanted) :], wanted]
            raise VariableCycle(tuple(self.values[member].name for member in circle))
        if len(self.path) >= _DEEPEST:
            raise BadReference(
                f"more than {_DEEPEST} variables refer to each other in a row", where
            )
        self.path.append(wanted)
        result = self.text(plain.text, plain)
        self.path.pop()
        self.done[wanted] = result
        return result

    def text(self, text: str, of: Plain | None) -> Insertion:
        """A text with its values in place; ``of`` is the variable whose value it is."""
        hidden = of is not None and of.sensitive
        where = f"variable {of.name}" if of else None
        sensitive, secrets, written = hidden, set[str](), []
        try:
            parts = list(_parts(text, hidden))
        except BadReference as bad:
            raise BadReference(bad.what, where or bad.where, bad.advice) from None
        for part in parts:
            if isinstance(part, _Reference):
                inserted = self.variable(part.name, where, hidden)
                sensitive = sensitive or inserted.sensitive
                secrets |= inserted.secrets
                part = inserted.text
            written.append(part)
        result = "".join(written)
        if sensitive and of:
            secrets.add(result)
        # To mask the empty text would mask everything.
        return Insertion(result, sensitive, frozenset(secrets - {""}))
