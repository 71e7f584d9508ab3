"""Filling: the values of variables go into what a step says of its tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployengine.domain import duration
from deployengine.domain.errors import RequestError
from deployengine.domain.insertion import NulInValue, Plain, insert
from deployengine.domain.tool_words import Check, anything
from deployengine.domain.tools import Said
from deployengine.domain.truth import truth
from deployengine.domain.values import Insertion


class BadValue(RequestError):
    """What a key of a step comes to is nothing that it could use; shows nothing of the value."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key} {why}", None, "see to the variables in it")
        self.args = (key, why)


class SecretOnCommandLine(RequestError):
    """A key of a step comes to a secret that everybody on the machine could read."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key} comes to a sensitive value, and would stand on a command line, where others on "
            "the machine can read it",
            None,
            "use a variable that is not sensitive there",
        )
        self.args = (key,)


class Filling:
    """Works out what keys come to, and remembers the secrets that went in.

    Every method raises :class:`BadValue`, and as ``insert``.
    """

    def __init__(self, values: Mapping[str, Plain]) -> None:
        self._values = values
        self.secrets: set[str] = set()
        #: Whether anything so far was made from a sensitive value.
        self.sensitive = False

    def text(self, key: str, said: Said, check: Check = anything) -> str:
        """What may be secret."""
        return self._checked(key, said, check).text

    def word(self, key: str, said: Said, check: Check = anything) -> str:
        """What stands on a command line; raises :class:`SecretOnCommandLine`."""
        found = self._checked(key, said, check)
        if found.sensitive:
            raise SecretOnCommandLine(key)
        return found.text

    def words(self, key: str, said: Iterable[str], check: Check) -> list[str]:
        """Several of these; one that comes to nothing is left out."""
        found = (self.word(key, each).strip() for each in said)
        words = [each for each in found if each]
        for each in words:
            _raise(key, check(each))
        return words

    def seconds(self, key: str, said: Said) -> float:
        """A span of time."""
        if not isinstance(said, str):
            return float(said)
        try:
            found = duration.seconds(self.text(key, said))
        except ValueError as error:
            raise BadValue(key, str(error)) from None
        if found <= 0:
            raise BadValue(key, "must be more than 0")
        return found

    def count(self, key: str, said: Said) -> int:
        """A whole number from 1 on."""
        text = self.text(key, said).strip() if isinstance(said, str) else str(int(said))
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise BadValue(key, "must be a whole number from 1 on")
        return int(text)

    def flag(self, key: str, said: Said) -> bool:
        """Yes or no."""
        return truth(self.text(key, said)) if isinstance(said, str) else bool(said)

    def inserted(self, key: str, said: Any) -> Insertion:
        """A text with its values in place."""
        found = insert(str(said), self._values)
        if "\0" in found.text:
            raise NulInValue(key)
        self.secrets |= found.secrets
        self.sensitive = self.sensitive or found.sensitive
        return found

    def _checked(self, key: str, said: Said, check: Check) -> Insertion:
        found = self.inserted(key, said)
        _raise(key, check(found.text))
        return found


def _raise(key: str, why: str | None) -> None:
    if why:
        raise BadValue(key, why)
