"""What a loop goes through: the indexes of names such as ``Octopus.Action[Install].Name``."""

from __future__ import annotations

import json
from collections.abc import Iterable

from deployengine.domain.variables import key


def indexes(names: Iterable[str], base: str) -> tuple[str, ...]:
    """What stands in the brackets right behind a name of this key, each once, in order."""
    found: dict[str, str] = {}
    for name in map(str.strip, names):
        if key(name[: len(base)]) == base and name[len(base) :].startswith("["):
            index = _bracketed(name[len(base) :])
            found.setdefault(index.casefold(), index)
    return tuple(found.values())


def is_json(text: str) -> bool:
    """Whether a text is a list or an object in JSON, which commas would tear apart."""
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        return isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False


def _bracketed(text: str) -> str:
    """What stands in the brackets with which the text begins; brackets in it are closed first."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"[": 1, "]": -1}.get(char, 0)
        if depth == 0:
            return text[1:at]
    return text[1:]
