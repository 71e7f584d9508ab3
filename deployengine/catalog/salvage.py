"""What is left of a faulty item, so that the rest of it is checked in the same go."""

from __future__ import annotations

from copy import copy, deepcopy
from functools import cache
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from deployengine.catalog.wording import slip

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]

#: Each round mends or removes a part, and parts do not lie deeper than this.
_ROUNDS = 8


class Origins:
    """Where the parts of a mended item stood before: its shape, with each part's first key."""

    def __init__(self, raw: Any) -> None:
        self._root = (None, self._shape(raw))

    def place(self, place: Place) -> Place:
        """The place in the file of a part of the mended item."""
        found: list[int | str] = []
        _, inner = self._root
        for part in place:
            try:
                first, inner = inner[part]
            except (KeyError, IndexError, TypeError):
                first, inner = part, None
            found.append(first)
        return tuple(found)

    def holder(self, place: Place) -> Any:
        """The shape of the part at this place."""
        _, inner = self._root
        for part in place:
            _, inner = inner[part]
        return inner

    def _shape(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {key: (key, self._shape(inner)) for key, inner in node.items()}
        if isinstance(node, list):
            return [(index, self._shape(inner)) for index, inner in enumerate(node)]
        return None


def salvaged(
    raw: Any, model: type[Model], error: ValidationError
) -> tuple[Model | None, Origins | None]:
    """The item with misspelt keys put right and other faulty parts left out, and their origins.

    A required key that is missing becomes an empty text or list. ``None``: nothing is left.
    """
    rest, origins = deepcopy(raw), Origins(raw)
    for _ in range(_ROUNDS):
        if not isinstance(rest, dict):
            break
        _mend(rest, origins, error.errors(), model)
        try:
            return _lenient(model).model_validate(rest), origins
        except ValidationError as again:
            error = again
    return None, None


def _mend(
    rest: dict[str, Any], origins: Origins, errors: list[ErrorDetails], model: type[BaseModel]
) -> None:
    meant = {found["loc"]: slip(found, model) for found in errors}
    put_right = {(*place[:-1], right) for place, right in meant.items() if right is not None}
    places = {_existing(rest, found["loc"]) for found in errors if found["loc"] not in put_right}
    for place in sorted(places - {()}, key=_last_first, reverse=True):
        right = meant.get(place)
        for holder in (_at(rest, place[:-1]), origins.holder(place[:-1])):
            part = holder.pop(place[-1])
            if right is not None:
                holder.setdefault(right, part)


def _last_first(place: Place) -> tuple[tuple[int, str], ...]:
    """Reversed, this puts the inner and the later parts first: removing one moves no other."""
    return tuple((part, "") if isinstance(part, int) else (0, part) for part in place)


def _existing(node: Any, place: Place) -> Place:
    """The place, or the part around it that is there."""
    for depth, part in enumerate(place):
        inside = isinstance(part, int) and isinstance(node, list) and part < len(node)
        if not inside and not (isinstance(node, dict) and part in node):
            return place[:depth]
        node = node[part]
    return place


def _at(node: Any, place: Place) -> Any:
    for part in place:
        node = node[part]
    return node


@cache
def _lenient(model: type[Model]) -> type[Model]:
    """The same part of the schema, with nothing required."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if info.is_required():
            optional = copy(info)
            optional.default = [] if get_origin(info.annotation) is list else ""
            fields[name] = (info.annotation, optional)
    return create_model(model.__name__, __base__=model, **fields)
