"""Which hosts are meant: by groups, names, ranges and patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache

from deployengine.catalog.inventory.listing import ALL, UNGROUPED, Listing
from deployengine.catalog.ranges import expand
from deployengine.catalog.wording import unknown


class Selection:
    """What names and patterns stand for in an inventory."""

    def __init__(self, listing: Listing) -> None:
        self._groups = {
            host: frozenset(group.name for group in listing.groups_of(host))
            for host in listing.hosts
        }
        #: The names of all groups that have hosts, in the order of the file.
        self.groups = tuple(
            name for name in listing.groups if any(name in said for said in self._groups.values())
        )

    def groups_of(self, host: str) -> Iterator[str]:
        """Its groups in the order of the file, but for those that say nothing of it."""
        for name in self.groups:
            if name in self._groups[host] and name not in (ALL, UNGROUPED):
                yield name

    def fits(self, host: str, patterns: Iterable[str]) -> bool:
        """Whether one of the patterns names the host, or a group that it is in."""
        names = {host, ALL, *self._groups[host]}
        if not self._groups[host] - {ALL, UNGROUPED}:
            names.add(UNGROUPED)
        return any(fits(name, pattern) for pattern in patterns for name in names)

    def missing(self, pattern: str) -> str | None:
        """What to tell of a pattern that names nothing; ``None`` if it names something."""
        if any(self.fits(host, [pattern]) for host in self._groups):
            return None
        return unknown("group or host", pattern, (*self.groups, *self._groups))


def fits(name: str, pattern: str) -> bool:
    """Whether a name is one of those that the pattern stands for."""
    names, patterns = _parts(pattern)
    return name in names or any(fnmatchcase(name, each) for each in patterns)


@cache
def _parts(pattern: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names that it spells out, and the patterns that it holds."""
    every = expand(pattern)
    return (
        frozenset(each for each in every if not set("*?") & set(each)),
        tuple(each for each in every if set("*?") & set(each)),
    )
