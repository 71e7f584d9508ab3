"""What can be wrong with the ``#{…}`` of a text."""

from __future__ import annotations

from collections.abc import Iterable

from deployengine.domain.errors import RequestError, UnknownName


class BadReference(RequestError):
    """A ``#{`` that begins nothing this engine can read, or a filter that there is not."""


class FilterFailed(RequestError):
    """A filter cannot do its work on the value that came to it; shows nothing of the value."""


class TooMuch(RequestError):
    """A text comes to more than any machine can be given."""


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

    ``reference`` is what stands between the braces; ``line`` counts from 1 in the script as its
    author wrote it.
    """

    def __init__(self, reference: str, line: int, reason: str) -> None:
        instead = (
            "a variable of the shell that is set where it can be"
            if "|" in reference or "#{" in reference
            else f"\"$(get_variable '{reference}')\" or the environment where the script can"
        )
        super().__init__(
            f"the value of {reference} cannot be quoted here: {reason}",
            f"line {line} of the script",
            f"use {instead}, or #{{{reference} | raw}} to insert it as code",
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
