"""The names that a catalog declares, read from what stands in the files.

An item that is faulty otherwise still counts by its name, so that one fault does not make
others of everything that refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployengine.catalog.entries import Entries
from deployengine.catalog.names import as_written
from deployengine.catalog.ranges import BadRange, expand


def names(items: Any) -> Iterator[str]:
    """The names of raw items, or such a list of names, ranges written out."""
    for item in items if isinstance(items, list) else ():
        yield from _expanded(item.get("name") if isinstance(item, dict) else item)


def inside(item: Any, key: str) -> Any:
    """What stands at a key of a raw item, if it is a mapping."""
    return item.get(key) if isinstance(item, dict) else None


def _expanded(name: Any) -> Iterable[str]:
    name = as_written(name)
    if not isinstance(name, str):
        return ()
    try:
        return expand(name.strip())
    except BadRange:
        return (name.strip(),)


@dataclass(frozen=True, slots=True)
class Declared:
    """What may be referred to; ``phases`` by lifecycle, ``channels`` and ``steps`` of all."""

    environments: tuple[str, ...]
    machines: tuple[str, ...]
    roles: frozenset[str]
    phases: dict[str, tuple[str, ...]]
    variable_sets: tuple[str, ...]
    channels: frozenset[str]
    steps: frozenset[str]

    @classmethod
    def in_(cls, entries: Entries) -> Declared:
        """The names that these items declare."""
        raw = {section: [e.raw for e in found] for section, found in entries.sections.items()}
        return cls(
            environments=tuple(names(raw["environments"])),
            machines=tuple(names(raw["machines"])),
            roles=frozenset(r for m in raw["machines"] for r in names(inside(m, "roles"))),
            phases={
                name: tuple(names(inside(lifecycle, "phases")))
                for lifecycle in raw["lifecycles"]
                for name in names([lifecycle])
            },
            variable_sets=tuple(names(raw["variable_sets"])),
            channels=frozenset(c for p in raw["projects"] for c in names(inside(p, "channels"))),
            steps=frozenset(s for p in raw["projects"] for s in names(inside(p, "process"))),
        )
