"""Values that may be a text with ``#{…}`` instead, which comes to one when the step runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from deployengine.catalog.node import LONGEST_SPAN
from deployengine.catalog.scalars import WrittenFloat, WrittenInt, as_written
from deployengine.domain import duration
from deployengine.domain.tool_words import Check

_INSERTS = {"type": "string", "pattern": r"#\{"}
_MAPPING = "must be a mapping, with a key and a value on each line"


def inserts(value: Any) -> bool:
    """Whether it is worked out later."""
    return isinstance(value, str) and "#{" in value


def _span(value: Any) -> Any:
    if inserts(value):
        return value
    found = duration.seconds(value) if isinstance(value, str) else value
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not math.isfinite(found):
        raise ValueError("must be a span of time: 90s, 15m, 1h30m or a number of seconds")
    if not 0 < found <= LONGEST_SPAN:
        raise ValueError("must be more than 0, and at most a year")
    return float(found)


def _count(value: Any) -> Any:
    if inserts(value):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number from 1 on")
    return int(value)


def _flag(value: Any) -> Any:
    if inserts(value) or isinstance(value, bool):
        return value
    raise ValueError("must be true or false, or a text with #{…} that is")


def _one_or_more(value: Any) -> Any:
    value = as_written(value)
    return [value] if isinstance(value, str) else value


def _structured(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return value
        case WrittenInt() | int():
            return int(value)
        case WrittenFloat() | float():
            return float(value)
        case list():
            return [_structured(each) for each in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _structured(each) for key, each in value.items()}
        case _:
            raise ValueError(_MAPPING)


def _mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(_MAPPING)
    return _structured(value)


def checked(check: Check) -> AfterValidator:
    """For what can be checked now, unless it has ``#{…}``."""

    def validated(text: str) -> str:
        if not inserts(text) and (why := check(text)):
            raise ValueError(why)
        return text

    return AfterValidator(validated)


def schema_of(words: Iterable[str]) -> WithJsonSchema:
    """What editors are told of a key that has one of these words."""
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, _INSERTS]})


#: Space around a word does not count.
STRIPPED = BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)
#: For lists of texts that may be written as one of them.
ONE_OR_MORE = BeforeValidator(_one_or_more)

#: A span of time, in seconds once it is read.
SpanSaid = Annotated[
    float | str,
    BeforeValidator(_span),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SPAN},
                {"type": "string", "pattern": duration.PATTERN},
                _INSERTS,
            ]
        }
    ),
]
#: How many; none is no number here.
CountSaid = Annotated[
    int | str,
    BeforeValidator(_count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _INSERTS]}),
]
FlagSaid = Annotated[
    bool | str,
    BeforeValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, _INSERTS]}),
]
#: Whatever YAML can say, under names.
Structure = Annotated[dict[str, Any], BeforeValidator(_mapping), WithJsonSchema({"type": "object"})]
