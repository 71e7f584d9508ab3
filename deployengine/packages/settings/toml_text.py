"""TOML files, by a library that keeps whatever it does not change."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping, MutableSequence
from datetime import date, time
from typing import Any

from deployengine.packages.errors import MissingExtra
from deployengine.packages.settings.spots import New, Old, Path, Values, new_value, path_of

try:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError as TOMLKitError
except ImportError as error:
    raise MissingExtra(
        "settings in TOML files need tomlkit", None, "pip install 'deployengine[packages]'"
    ) from error

#: A list or mapping, and under what something stands in it.
_Place = tuple[Any, Any]


def changed(text: str, values: Values) -> str:
    """The text with the values in their places. Raises ``TOMLKitError``."""
    document = tomlkit.parse(text)
    replaced: list[Path] = []
    for path, (around, key) in list(_places(document, ())):
        within = any(path[: len(each)] == each for each in replaced)
        if path not in values or within:
            continue
        old = around[key]
        new = new_value(_old(old), values[path]())
        if new is not None:
            around[key] = _read(old, *new)
            replaced.append(path)
    return tomlkit.dumps(document)


def _places(around: Any, path: Path) -> Iterator[tuple[Path, _Place]]:
    """Every place, a list or mapping before those within it."""
    if isinstance(around, MutableMapping):
        keys = [(path_of(key), key) for key in around]
    elif isinstance(around, MutableSequence):
        keys = [((str(index),), index) for index in range(len(around))]
    else:
        return
    for more, key in keys:
        yield (*path, *more), (around, key)
        yield from _places(around[key], (*path, *more))


def _old(value: Any) -> Old:
    if isinstance(value, MutableMapping | MutableSequence):
        return Old.COLLECTION
    if isinstance(value, bool):
        return Old.FLAG
    return Old.NUMBER if isinstance(value, int | float) else Old.TEXT


def _read(old: Any, kind: New, value: str) -> Any:
    """What TOML has for it: dates and times stay such if they can."""
    if kind is New.JSON:
        return json.loads(value)
    if isinstance(old, date | time):
        try:
            return tomlkit.value(value.strip())
        except (TOMLKitError, ValueError):
            return value
    return value
