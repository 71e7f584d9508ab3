"""Spots: where in the text of a file a value stands, and what goes there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

_SEPARATOR = re.compile(r"[:.]|__")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

Path = tuple[str, ...]


class Old(Enum):
    """What stands there, which the new value is to be as well if it can."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    NOTHING = "nothing"
    COLLECTION = "collection"


@dataclass(frozen=True, slots=True)
class Spot:
    """A value's place: where its text begins and ends. ``style`` is for the format alone."""

    path: Path
    start: int
    end: int
    old: Old
    style: str = ""


class New(Enum):
    """What a new value is."""

    TEXT = "text"
    #: Number, flag, nothing, list or mapping: its text is JSON.
    JSON = "json"


#: Writes a value in a file's own way, in the place of what stands at a spot.
Write = Callable[[Spot, New, str], str]
#: The values by paths; each is worked out when it is asked for.
Values = Mapping[Path, Callable[[], str]]


def path_of(name: str) -> Path:
    """The path that a variable's name means, or a key has: without regard to case.

    ``:``, ``.`` and ``__`` are between its parts: the last is for environment files.
    """
    return tuple(_SEPARATOR.split(name.strip().casefold()))


def change(text: str, spots: Iterable[Spot], values: Values, write: Write) -> str:
    """The text with the values in their places. Within a list that was replaced nothing is."""
    pieces, end = [], 0
    for spot in sorted(spots, key=lambda each: (each.start, -each.end)):
        if spot.start < end or spot.path not in values:
            continue
        new = new_value(spot.old, values[spot.path]())
        if new is not None:
            pieces += [text[end : spot.start], write(spot, *new)]
            end = spot.end
    return "".join([*pieces, text[end:]])


def new_value(old: Old, value: str) -> tuple[New, str] | None:
    """What goes there; ``None``: the name of a whole list or mapping, and no value for one."""
    plain = value.strip()
    if old is Old.COLLECTION:
        return (New.JSON, plain) if _is_collection(plain) else None
    if old is Old.FLAG and plain.casefold() in ("true", "false"):
        return New.JSON, plain.casefold()
    if old is Old.NUMBER and _NUMBER.fullmatch(plain):
        return New.JSON, plain
    if old is Old.NOTHING and (plain in ("true", "false", "null") or _NUMBER.fullmatch(plain)):
        return New.JSON, plain
    return New.TEXT, value


def _is_collection(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False
