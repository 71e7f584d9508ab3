"""Environment files: lines of ``NAME=value``, as shells, Docker and dotenv libraries read them."""

from __future__ import annotations

import re

from deployengine.packages.settings.spots import New, Old, Spot, path_of

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([\w.:-]+)[ \t]*=[ \t]*
        ("(?:[^"\\]|\\.)*"|'[^']*'|[^\r\n]*?)(?=[ \t]+\#|[ \t]*\r?$)""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_BARE = re.compile(r"[\w./:@%+,=-]*", re.ASCII)


class NoSuchLine(ValueError):
    """A value that no line of such a file can hold."""


def spots_of(text: str) -> list[Spot]:
    """The value of every line that has one."""
    return [
        Spot(path_of(found[1]), found.start(2), found.end(2), Old.TEXT, found[2][:1])
        for found in _LINE.finditer(text)
    ]


def write(spot: Spot, _kind: New, value: str) -> str:
    """The value as such a line has it: bare where it can be, or else in single quotes.

    Raises :class:`NoSuchLine` for a value that is read differently by different readers.
    """
    if _BARE.fullmatch(value) and spot.style not in ("'", '"'):
        return value
    if "\0" in value:
        raise NoSuchLine("its value holds a NUL")
    if "'" not in value:
        return f"'{value}'"  # in which every reader takes every sign for itself
    if "$" in value or "`" in value:
        raise NoSuchLine("its value holds ' and $ or `, which shells and dotenv read differently")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
