"""YAML's plain words: which are numbers, truth values or nothing, by the rules of YAML 1.2.

There ``no``, ``on`` and ``12:30`` are text. Numbers remember how they were written, so that
``1.10`` can still be read as the text that it was meant to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"

_SWALLOWED = re.compile(r" *(?P<text>#\{.*)")
#: What comes before a value on its line.
_KEY = re.compile(r"""\s*(?:-\s+|\?\s+)*(?:(?:"[^"]*"|'[^']*'|[^\s"'{\[#][^#]*?):(?:\s+|$)|-$)?""")
#: Values that are whole before a comment, by how they begin and end, or that begin behind it.
_WHOLE = re.compile(r"""(?s)".*"|'.*'|\{.*\}|\[.*\]|[|>][-+0-9]*|[&*!]\S*|---""")


class WrittenInt(int):
    """A whole number that knows its spelling, ``007`` for one."""

    text: str


class WrittenFloat(float):
    """A decimal number that knows its spelling, ``1.10`` for one."""

    text: str


@dataclass(frozen=True, slots=True)
class Swallowed:
    """What a comment took; ``alone``: nothing comes before it, so there may be no value at all,
    or one in the lines below.
    """

    text: str
    alone: bool


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, used up to its node tree only, with the words of YAML 1.2.

    A ``#`` behind a space begins a comment, and so does that of a ``#{Name}`` in a text without
    quotes. ``lost`` is told what such comments swallow, by the line, counted from 1.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own protocol

    def __init__(self, text: str, lost: dict[int, Swallowed] | None = None) -> None:
        super().__init__(text)
        self._lost = {} if lost is None else lost

    def scan_to_next_token(self) -> None:
        """Passes over space and comments, as PyYAML does behind each token."""
        swallowed = _SWALLOWED.match(self.buffer, self.pointer)
        before = self.buffer[self.pointer - self.column : self.pointer].rstrip()
        if swallowed and before and not _WHOLE.fullmatch(before[_end_of_key(before) :]):
            alone = not before[_end_of_key(before) :]
            self._lost[self.line + 1] = Swallowed(swallowed["text"].rstrip(), alone)
        super().scan_to_next_token()


def _end_of_key(text: str) -> int:
    found = _KEY.match(text)
    return found.end() if found else 0


def _resolve(kind: str, pattern: str, first: Sequence[str]) -> None:
    Loader.add_implicit_resolver(TAG + kind, re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("int", r"^[-+]?[0-9]+$", "-+0123456789")
_resolve("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")
_resolve("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""])
_resolve("merge", r"^<<$", "<")


def scalar(node: yaml.ScalarNode) -> Any:
    """The plain value of a scalar; ``KeyError`` for an unknown tag, ``ValueError`` for bad text."""
    return _SCALARS[node.tag.removeprefix(TAG)](node.value)


def _int(text: str) -> WrittenInt:
    number = WrittenInt(text)
    number.text = text
    return number


def _float(text: str) -> WrittenFloat:
    number = WrittenFloat(text)
    number.text = text
    return number


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "null": lambda _text: None,
}


def as_written(value: Any) -> Any:
    """A number as the text that stands in the file; anything else as it is."""
    return value.text if isinstance(value, WrittenInt | WrittenFloat) else value
