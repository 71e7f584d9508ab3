"""JSON files, those with comments and commas at the end too, as .NET and editors write them."""

from __future__ import annotations

import json
import re

from deployengine.packages.settings.spots import New, Old, Path, Spot, path_of

_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_WORD = re.compile(r"[-+.\w]+")
_WORDS = {"true": Old.FLAG, "false": Old.FLAG, "null": Old.NOTHING}
_DEEPEST = 200


class NotJson(ValueError):
    """The text is no JSON; ``args``: what is wrong, and where."""


def spots_of(text: str) -> list[Spot]:
    """Every value of a JSON text. Raises :class:`NotJson`."""
    return _Scan(text).spots


def write(_spot: Spot, kind: New, value: str) -> str:
    """The value as JSON."""
    return json.dumps(value, ensure_ascii=False) if kind is New.TEXT else value


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.spots: list[Spot] = []
        self._value((), 0)
        self._skip()
        if self._at < len(text):
            raise self._wrong("something follows the value")

    def _value(self, path: Path, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._wrong("it is nested too deeply")
        self._skip()
        start = self._at
        first = self._text[start : start + 1]
        if first == "{":
            old = self._many("}", path, depth)
        elif first == "[":
            old = self._many("]", path, depth)
        elif first == '"':
            self._string()
            old = Old.TEXT
        else:
            old = self._word()
        self.spots.append(Spot(path, start, self._at, old))

    def _many(self, close: str, path: Path, depth: int) -> Old:
        self._at += 1
        index = 0
        while not self._passes(close):
            if close == "}":
                key = path_of(self._key())
                if not self._passes(":"):
                    raise self._wrong("a colon is missing")
            else:
                key = (str(index),)
            self._value((*path, *key), depth + 1)
            index += 1
            if not self._passes(",") and not self._text.startswith(close, self._at):
                raise self._wrong("a comma is missing")
        return Old.COLLECTION

    def _key(self) -> str:
        self._skip()
        try:
            return str(json.loads(self._string(), strict=False))
        except json.JSONDecodeError:
            raise self._wrong("a name in quotes can't be read") from None

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._wrong("a text in quotes is missing")
        self._at = match.end()
        return match[0]

    def _word(self) -> Old:
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise self._wrong("a value is missing")
        self._at = match.end()
        if match[0] in _WORDS:
            return _WORDS[match[0]]
        try:
            json.loads(match[0])
        except ValueError:
            raise self._wrong(f"{match[0][:20]!r} is no value") from None
        return Old.NUMBER

    def _passes(self, sign: str) -> bool:
        """Goes beyond a sign, if it comes next."""
        self._skip()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _wrong(self, what: str) -> NotJson:
        return NotJson(f"{what}, line {self._text.count(chr(10), 0, self._at) + 1}")
