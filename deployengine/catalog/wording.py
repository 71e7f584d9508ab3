"""What the schema finds wrong, in plain words with the nearest right key.

Never quotes what stands in the file, but for keys and the few words that a field allows: the rest
may be a secret that somebody put into the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from deployengine.catalog.fields import inner, written
from deployengine.catalog.lines import Document, Path
from deployengine.domain.errors import Fault, did_you_mean, nearest

_TEXT = "must be a text"
_NUMBER = "must be a whole number"
_TRUTH = "must be true or false"
_MAPPING = "must be a mapping, with a key and a value on each line"
_LIST = "must be a list"
_SPAN = "must be a span of time: 90s, 15m, 1h30m or a number of seconds"

_WORDS = {
    "string_type": _TEXT,
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": _LIST,
    "float_type": _SPAN,
    "finite_number": _SPAN,
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def faults(
    error: ValidationError, document: Document, at: Path, model: type[BaseModel]
) -> list[Fault]:
    """One fault for each thing that is wrong with the part of the document at this path.

    A key that is missing because it is misspelt counts once.
    """
    meant = {(found["loc"][:-1], slip(found, model)) for found in error.errors()}
    return [
        document.fault(*_said(found, at, model))
        for found in error.errors()
        if found["type"] != "missing" or (found["loc"][:-1], found["loc"][-1]) not in meant
    ]


def slip(found: ErrorDetails, model: type[BaseModel]) -> str | None:
    """The key that was meant by an unknown one; ``None`` when that is not what is wrong."""
    if found["type"] != "extra_forbidden":
        return None
    if _among(found, model, "elsewhere") or _among(found, model, "reserved"):
        return None
    return nearest(str(found["loc"][-1]), _keys(model, found["loc"][:-1]))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """That there is no such thing, and what was meant perhaps."""
    advice = did_you_mean(nearest(name, known))
    return f"there is no {kind} {name!r}" + (f"; {advice}" if advice else "")


def unknown_key(name: str, known: Iterable[str]) -> str:
    """That a key is not known where it stands, and what is."""
    known = list(known)
    advice = did_you_mean(nearest(name, known)) or f"there are {', '.join(known)}"
    return f"unknown key {name!r}; {advice}"


def _said(found: ErrorDetails, at: Path, model: type[BaseModel]) -> tuple[Path, str]:
    place: Path = (*at, *found["loc"])
    kind, context = found["type"], found.get("ctx", {})
    if kind == "missing":
        return place[:-1], f"{place[-1]!r} is missing"
    if kind == "extra_forbidden":
        if holder := _among(found, model, "elsewhere"):
            return place, f"{place[-1]!r} cannot stand here; it belongs to {holder}"
        if why := _among(found, model, "reserved"):
            return place, f"{place[-1]!r} is reserved and has no effect yet; {why}"
        return place, unknown_key(str(place[-1]), _keys(model, found["loc"][:-1]))
    if kind == "literal_error":
        return place, _choice(context["expected"], found["input"])
    if kind == "value_error":
        return place, str(context["error"])
    if kind in _WORDS:
        return place, _WORDS[kind].format(**context)
    return place, found["msg"]


def _among(found: ErrorDetails, model: type[BaseModel], table: str) -> str | None:
    """What a table of the part that an unknown key stands in says of the key."""
    known: Mapping[str, str] = getattr(_part(model, found["loc"][:-1]), table, {})
    return known.get(str(found["loc"][-1]))


def _choice(expected: str, given: Any) -> str:
    """The words that a field allows, and which of them was meant perhaps."""
    meant = nearest(given, re.findall(r"'([^']*)'", expected)) if isinstance(given, str) else None
    advice = did_you_mean(meant)
    return f"must be {expected}" + (f"; {advice}" if advice else "")


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> Iterable[str]:
    """The keys that the part at this place may have."""
    return written(_part(model, loc))


def _part(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """What the schema has at this place."""
    for part in loc:
        if isinstance(part, str):
            model = inner(written(model)[part]) or model
    return model
