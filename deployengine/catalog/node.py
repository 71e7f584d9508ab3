"""What all parts of a catalog file have in common, and the plain values that stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from deployengine.catalog.scalars import as_written
from deployengine.domain import duration


def _value(value: Any) -> Any:
    value = as_written(value)
    if isinstance(value, bool | int | float):
        return str(value)
    if value is None:
        raise ValueError('there is no value; write "" for an empty one')
    return value


def _span(value: Any) -> Any:
    return duration.seconds(value) if isinstance(value, str) else value


#: A year in seconds: more is a slip of the finger.
LONGEST_SPAN = 366 * 86_400

#: For lists whose entries may all be commented out, where that can't widen what is meant.
OR_EMPTY = BeforeValidator(lambda value: [] if value is None else value)

#: A text for people.
Text = Annotated[str, BeforeValidator(as_written)]

Value = Annotated[
    str,
    BeforeValidator(_value),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
#: A span of time, in seconds once it is read.
Span = Annotated[
    float,
    BeforeValidator(_span),
    Field(gt=0, le=LONGEST_SPAN, allow_inf_nan=False, strict=True),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SPAN},
                {"type": "string", "pattern": duration.PATTERN},
            ]
        }
    ),
]
#: How many; none is no number here.
Count = Annotated[int, Field(ge=1, strict=True)]

_SHARE = r"(100|[1-9][0-9]?)%"


def _quota(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(_SHARE, value.strip()):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ValueError('must be a number of machines, or a share of them from "1%" to "100%"')


#: How many machines: a number of them, or a share.
Quota = Annotated[
    int | str,
    BeforeValidator(_quota),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_SHARE}$"},
            ]
        }
    ),
]

#: Who goes first: 5 before 0 before -5.
Priority = Annotated[int, Field(ge=-5, le=5, strict=True)]


class Node(BaseModel):
    """Common to all parts of a catalog: an unknown key is a fault, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: Keys that people look for here, and where they stand instead.
    elsewhere: ClassVar[Mapping[str, str]] = {}
    #: Keys that are kept for later, and what there is to say of each.
    reserved: ClassVar[Mapping[str, str]] = {}


class Short(Node):
    """A part that may be written as one word, which then is the value of ``short_for``."""

    @classmethod
    def short_for(cls) -> str:
        """The key that the word stands for: the first one."""
        return next(iter(cls.model_fields))

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: Any) -> Any:
        word = as_written(value)
        return {cls.short_for(): word} if isinstance(word, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = handler.resolve_ref_schema(handler(core))
        word = {k: v for k, v in whole["properties"][cls.short_for()].items() if k != "title"}
        return {"title": whole.get("title", ""), "anyOf": [word, whole]}
