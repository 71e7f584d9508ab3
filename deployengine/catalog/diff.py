"""The difference between the catalog that is stored and one that is about to be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from deployengine.catalog.changes import Change, changes
from deployengine.catalog.items import KINDS, MODELS, Catalog
from deployengine.catalog.runs_of_names import summary

#: Kind and name.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item that is there before and after, and what changes in it."""

    kind: str
    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a catalog would do; ``unchanged`` counts the items that stay as they are.

    ``environments_moved`` holds the order before and after when that changed, since their order
    is part of what they say; that of other items is not.
    """

    added: tuple[Key, ...]
    changed: tuple[ItemChange, ...]
    removed: tuple[Key, ...]
    unchanged: int
    environments_moved: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether applying would change nothing."""
        return not (self.added or self.changed or self.removed or self.environments_moved)

    def to_document(self) -> dict[str, Any]:
        """The whole of it as a document; secrets are masked in it."""
        document: dict[str, Any] = {
            "added": [{"kind": kind, "name": name} for kind, name in self.added],
            "changed": [
                {
                    "kind": item.kind,
                    "name": item.name,
                    "changes": [change.to_document() for change in item.changes],
                }
                for item in self.changed
            ],
            "removed": [{"kind": kind, "name": name} for kind, name in self.removed],
        }
        if self.environments_moved:
            before, after = self.environments_moved
            document["environments_moved"] = {"old": list(before), "new": list(after)}
        return document

    def lines(self) -> Iterator[str]:
        """Plain text for people, by kind: ``+`` added, ``~`` changed, ``-`` removed."""
        for kind in KINDS.values():
            yield from _named("+", kind, [name for k, name in self.added if k == kind])
            yield from _changed(kind, [item for item in self.changed if item.kind == kind])
            yield from _named("-", kind, [name for k, name in self.removed if k == kind])
            if kind == "environment" and self.environments_moved:
                before, after = map(", ".join, self.environments_moved)
                yield f"~ environments in another order: {before} → {after}"


def difference(stored: Mapping[Key, Mapping[str, Any]], catalog: Catalog) -> Difference:
    """Compares the stored documents, in their order, with a sealed catalog.

    Sensitive values are compared by ``mac`` alone; one that is not sealed counts as changed.
    """
    wanted = {(item.kind, item.name): item.document for item in catalog.items}
    both = [key for key in wanted if key in stored]
    changed = [ItemChange(*key, changes(stored[key], wanted[key], MODELS[key[0]])) for key in both]
    changed = [item for item in changed if item.changes]
    return Difference(
        added=tuple(key for key in wanted if key not in stored),
        changed=tuple(changed),
        removed=tuple(key for key in stored if key not in wanted),
        unchanged=len(both) - len(changed),
        environments_moved=_moved([key for key in stored if key in wanted], both),
    )


def _moved(
    before: Sequence[Key], after: Sequence[Key]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    orders = [tuple(n for kind, n in keys if kind == "environment") for keys in (before, after)]
    return None if orders[0] == orders[1] else (orders[0], orders[1])


def _named(sign: str, kind: str, names: Sequence[str]) -> Iterator[str]:
    yield from (f"{sign} {_called(kind)} {said}" for said in summary(names))


def _changed(kind: str, items: Sequence[ItemChange]) -> Iterator[str]:
    """Neighbours that change alike are told together."""
    for alike, group in groupby(items, key=lambda item: item.changes):
        yield from _named("~", kind, [item.name for item in group])
        yield from (f"    {line}" for change in alike for line in change.lines())


def _called(kind: str) -> str:
    return kind.replace("_", " ")
