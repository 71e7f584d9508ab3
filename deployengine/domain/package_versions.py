"""Versions of packages: what one looks like, and which of two is the newer one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"[vV]?[0-9][0-9A-Za-z.+_-]{0,127}")
_CORE = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)*)(.*)")
_PIECE = re.compile(r"[0-9]+|[A-Za-z]+")

#: A number before a word, and a longer list after a shorter one, as semantic versioning has it.
Piece = tuple[int, int, str]
Precedence = tuple[tuple[int, ...], bool, tuple[Piece, ...]]


def is_version(text: str) -> bool:
    """Whether this can be the version of a package: it begins with a digit, or ``v`` and one."""
    return _VERSION.fullmatch(text) is not None


def precedence(version: str) -> Precedence:
    """What versions are sorted by, as in semantic versioning and NuGet: 1.9 < 1.10-rc1 < 1.10.

    Any count of numbers will do, and zeros at the end do not count. What follows a ``+`` does not
    count either.
    """
    match = _CORE.fullmatch(version.partition("+")[0])
    if match is None:
        return ((), False, ())
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    pieces = tuple(_piece(text) for text in _PIECE.findall(match[2]))
    return (tuple(numbers), not pieces, pieces)


def _piece(text: str) -> Piece:
    return (0, int(text), "") if text.isdigit() else (1, 0, text.casefold())


def is_pre_release(version: str) -> bool:
    """Whether it comes before the version of its numbers: 1.2.0-rc1."""
    return not precedence(version)[1]


def newest(versions: Iterable[str]) -> str | None:
    """The newest one. Pre-releases count only where there is nothing else; ``None``: nothing."""
    found = list(versions)
    released = [version for version in found if not is_pre_release(version)]
    return max(released or found, key=precedence, default=None)
