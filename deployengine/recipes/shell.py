"""Lines of a recipe, and the programs that come after them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote

_HERE = Path(__file__).parent


def assign(name: str, value: str | int | bool) -> str:
    """Sets a variable of the program; yes and no are ``yes`` and nothing."""
    text = ("yes" if value else "") if isinstance(value, bool) else str(value)
    return f"de_{name}={quote(text)}"


def export(name: str, value: str) -> str:
    """Sets a variable of the environment."""
    return f"export {name}={quote(value)}"


def arguments(words: Iterable[str]) -> str:
    """Sets what the program finds as its arguments."""
    return " ".join(["set --", *map(quote, words)])


def hundredths(seconds: float) -> int:
    """A span as the programs count it."""
    return max(1, round(seconds * 100))


def script(lines: Iterable[str], program: str) -> str:
    """The whole text of a recipe."""
    parts = (_HERE / each for each in ("common.sh", program))
    return "\n".join(["#!/bin/sh", *lines, *(part.read_text("utf-8") for part in parts)])
