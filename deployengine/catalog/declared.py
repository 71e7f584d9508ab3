"""The names that a catalog declares, read from what stands in the files.

An item that is faulty otherwise still counts by its name, so that one fault does not make
others of everything that refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.process import each_step, hooks
from deployengine.catalog.ranges import BadRange, expand
from deployengine.catalog.scalars import as_written
from deployengine.catalog.schema import Lifecycle
from deployengine.domain.project import Hook, hook_name


def names(items: Any) -> Iterator[str]:
    """The names of raw items, or of such a list of names."""
    for item in items if isinstance(items, list) else ():
        name = as_written(item.get("name") if isinstance(item, dict) else item)
        if isinstance(name, str):
            yield name.strip()


def inside(entry: Entry[Any], key: str) -> Iterator[str]:
    """The names at a key of an item: as they stand there, and as a misspelt key was read."""
    if isinstance(entry.raw, dict):
        yield from names(entry.raw.get(key))
    for part in getattr(entry.model, key, ()):
        yield part if isinstance(part, str) else part.name


def steps(entry: Entry[Any]) -> Iterator[str]:
    """The names of a project's steps that do something; a rolling group leaves that to its own."""
    process = entry.raw.get("process") if isinstance(entry.raw, dict) else None
    for step in process if isinstance(process, list) else ():
        children = step.get("steps") if isinstance(step, dict) else None
        yield from names(children if isinstance(children, list) else [step])
    for model, _ in each_step(getattr(entry.model, "process", ())):
        if not getattr(model, "steps", ()):
            yield model.name
        yield from (hook_name(model.name, Hook(key)) for key in hooks(model))


def _expanded(name: str) -> Iterable[str]:
    try:
        return expand(name)
    except BadRange:
        return (name,)


@dataclass(frozen=True, slots=True)
class Declared:
    """What may be referred to; ``phases`` by lifecycle, ``channels`` and ``steps`` of all.

    ``default_lifecycle`` is that of projects which name none, if there is one.
    """

    environments: tuple[str, ...]
    machines: tuple[str, ...]
    roles: frozenset[str]
    phases: dict[str, tuple[str, ...]]
    variable_sets: tuple[str, ...]
    feeds: tuple[str, ...]
    channels: frozenset[str]
    steps: frozenset[str]
    projects: tuple[str, ...]
    default_lifecycle: str | None

    @classmethod
    def in_(cls, entries: Entries) -> Declared:
        """The names that these items declare."""
        of = entries.sections
        raw = {section: [entry.raw for entry in found] for section, found in of.items()}
        return cls(
            environments=tuple(names(raw["environments"])),
            machines=tuple(m for name in names(raw["machines"]) for m in _expanded(name)),
            roles=frozenset(r for e in of["machines"] for r in inside(e, "roles")),
            phases={
                name: tuple(inside(entry, "phases"))
                for entry in of["lifecycles"]
                for name in names([entry.raw])
            },
            variable_sets=tuple(names(raw["variable_sets"])),
            feeds=tuple(names(raw["feeds"])),
            channels=frozenset(c for e in of["projects"] for c in inside(e, "channels")),
            steps=frozenset(s for e in of["projects"] for s in steps(e)),
            projects=tuple(p for name in names(raw["projects"]) for p in _expanded(name)),
            default_lifecycle=next(
                (m.name for _, m in entries.of("lifecycles", Lifecycle) if m.default), None
            ),
        )
