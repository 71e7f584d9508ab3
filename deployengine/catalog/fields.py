"""The fields of the schema's parts, by the keys that they have in files and in stored documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Model = type[BaseModel]


def written(model: Model) -> dict[str, FieldInfo]:
    """The fields by their keys in a catalog file."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def stored(model: Model) -> dict[str, FieldInfo]:
    """The fields by their keys in a stored document."""
    return {info.serialization_alias or name: info for name, info in model.model_fields.items()}


def inner(info: FieldInfo) -> Model | None:
    """The part of the schema that a field holds, one or a list of them; ``None``: plain values."""
    return next(_models(info.annotation), None)


def default(info: FieldInfo) -> Any:
    """What a stored document that lacks the key means by that; ``None`` where it must be there."""
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True)
    return (
        value.model_dump(by_alias=True, exclude_defaults=True) if inner(info) and value else value
    )


def _models(annotation: Any) -> Iterator[Model]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
