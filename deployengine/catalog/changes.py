"""What differs between two documents, path by path, with secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from deployengine.catalog.fields import Model, default, inner, stored
from deployengine.domain.variables import MASK, Scope

#: How much of a value is shown in a line.
_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One changed place of a document; ``None`` stands for nothing. Secrets are masked in both."""

    path: str
    old: Any
    new: Any

    def to_document(self) -> dict[str, Any]:
        """The change as a document."""
        return {"path": self.path, "old": self.old, "new": self.new}

    def lines(self) -> Iterator[str]:
        """How people see it; of texts with several lines only those that differ."""
        if _is_long(self.old) and _is_long(self.new):
            yield f"{self.path}:"
            compared = unified_diff(self.old.splitlines(), self.new.splitlines(), n=0, lineterm="")
            for line in compared:
                if not line.startswith(("---", "+++", "@@")):
                    yield f"  {line[0]} {line[1:]}"
        else:
            yield f"{self.path}: {_shown(self.old)} → {_shown(self.new)}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any], model: Model) -> tuple[Change, ...]:
    """The places in which two documents of one item differ, in the order of the new one.

    A key that only one of them has is as in the schema's ``model`` in the other.
    """
    return tuple(_mappings(old, new, "", model))


def _mappings(
    old: Mapping[str, Any], new: Mapping[str, Any], path: str, model: Model | None
) -> Iterator[Change]:
    if model and _is_variable(old) and _is_variable(new):
        yield from _value(old, new, path)
        old, new = _without_value(old), _without_value(new)
    known = stored(model) if model else {}
    for name in dict.fromkeys((*new, *old)):
        where = f"{path}.{name}" if path else name
        info = known.get(name)
        otherwise = default(info) if info else None
        yield from _values(
            old.get(name, otherwise), new.get(name, otherwise), where, inner(info) if info else None
        )


def _values(old: Any, new: Any, path: str, model: Model | None) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mappings(old, new, path, model)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path, model)
    elif old != new:
        yield Change(path, masked(old), masked(new))


def _lists(old: list[Any], new: list[Any], path: str, model: Model | None) -> Iterator[Change]:
    """Elements with names are compared by name, so that an inserted one moves no other."""
    before, after = (_by_name(old), _by_name(new)) if model else (None, None)
    if before is None or after is None:
        if old != new:
            yield Change(path, masked(old), masked(new))
        return
    for name in dict.fromkeys((*after, *before)):
        yield from _values(before.get(name), after.get(name), f"{path}[{name}]", model)
    kept_before = [name for name in before if name in after]
    kept_after = [name for name in after if name in before]
    if kept_before != kept_after:
        yield Change(f"{path} (order)", kept_before, kept_after)


def _value(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    """A sealed value is sealed anew each time; whether it is the same its ``mac`` tells.

    Of a value that becomes a secret the one before is not shown either: mostly it is the same.
    """
    if old["value"] == new["value"]:
        return
    if _secret(old) and _secret(new):
        if _mac(old) is None or _mac(old) != _mac(new):
            yield Change(f"{path}.value", MASK, MASK)
    else:
        before = MASK if _secret(new) else masked(old)["value"]
        yield Change(f"{path}.value", before, masked(new)["value"])


def _without_value(variable: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in variable.items() if key != "value"}


def masked(value: Any) -> Any:
    """The value as people may see it: no secret in it, sealed or plain."""
    if isinstance(value, Mapping):
        shown = {k: masked(v) for k, v in value.items()}
        return {**shown, "value": MASK} if _is_variable(value) and _secret(value) else shown
    return [masked(v) for v in value] if isinstance(value, list) else value


def _is_variable(value: Mapping[str, Any]) -> bool:
    return "value" in value and "name" in value


def _secret(variable: Mapping[str, Any]) -> bool:
    return bool(variable.get("sensitive")) or isinstance(variable["value"], Mapping)


def _mac(variable: Mapping[str, Any]) -> Any:
    value = variable["value"]
    return value.get("mac") if isinstance(value, Mapping) else None


def _by_name(elements: list[Any]) -> dict[str, Any] | None:
    """The elements by name, variables by name and scope; ``None`` where that is not unique."""
    if not all(isinstance(e, Mapping) and ("name" in e or "resource" in e) for e in elements):
        return None
    named = {_name(element): element for element in elements}
    return named if len(named) == len(elements) else None


def _name(element: Mapping[str, Any]) -> str:
    name = str(element.get("name", element.get("resource")))
    said = element.get("scope")  # that of a step that uses systemd is one word
    scope = Scope.from_document(said if isinstance(said, Mapping) else {})
    return f"{name}, {scope}" if scope != Scope() else name


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if value == MASK:
        return MASK
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
