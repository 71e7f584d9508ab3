"""YAML's plain words: which are numbers, truth values or nothing, by the rules of YAML 1.2.

There ``no``, ``on`` and ``12:30`` are text. Numbers remember how they were written, so that
``1.10`` can still be read as the text that it was meant to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"


class WrittenInt(int):
    """A whole number that knows its spelling, ``007`` for one."""

    text: str


class WrittenFloat(float):
    """A decimal number that knows its spelling, ``1.10`` for one."""

    text: str


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, used up to its node tree only, with the words of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own protocol


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
