"""Patterns of file names within a package."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|.", re.DOTALL)


def matches(path: str, pattern: str) -> bool:
    """Whether a file is meant: ``*`` and ``?`` stay within a folder, ``**/`` is any folders.

    So ``*.conf`` means those at the top of the package, ``**/*.conf`` all of them.
    """
    return re.fullmatch("".join(map(_translated, _PIECE.findall(pattern))), path) is not None


def _translated(piece: str) -> str:
    if piece == "**/":
        return "(?:.*/)?"
    if piece == "**":
        return ".*"
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    return re.escape(piece)
