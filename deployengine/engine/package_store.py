"""Packages at hand: brought from today's feeds into this host's cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deployengine.domain.package import Package
from deployengine.engine.feeds import Feeds
from deployengine.packages.cache import PackageCache
from deployengine.packages.store import Progress, ignore

#: Hears how a download goes on, in lines for people.
Tell = Callable[[str], None]

#: Seconds between two of them.
_TELL_EVERY = 2.0
_MEGABYTE = 1_000_000


def quietly(_line: str) -> None:
    """Nobody listens."""


class PackageStore:
    """Looks packages up and has them at hand. Raises ``UnknownName`` and ``PackageError``."""

    def __init__(self, feeds: Feeds, cache: PackageCache) -> None:
        self._feeds = feeds
        self._cache = cache

    def versions(self, feed: str, name: str) -> list[str]:
        """The versions of a package that a feed has."""
        return self._feeds.open(feed).versions(name)

    def look_up(self, feed: str, name: str, version: str, tell: Tell) -> Package:
        """What a feed has under a name and version now, brought here unless it is."""
        progress = _told(f"{name} {version} from {feed}", tell)
        return self._cache.look_up(self._feeds.open(feed), name, version, progress)

    def has(self, package: Package) -> bool:
        """Whether the archive of a package is here."""
        return self._cache.archive(package.digest) is not None

    def fetch(self, package: Package, progress: Progress = ignore) -> Path:
        """The archive of a package that a release has frozen, brought unless it is here.

        The feed is not asked for what is here.
        """
        there = self._cache.archive(package.digest)
        return there or self._cache.ensure(package, self._feeds.open(package.feed), progress)

    def suspect(self, package: Package) -> None:
        """A package came to a machine damaged: if it is so here, it is brought anew next time."""
        self._cache.suspect(package.digest)


def _told(what: str, tell: Tell) -> Progress:
    last = 0.0

    def progress(done: int, whole: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_EVERY:
            last = now
            of = f" of {whole / _MEGABYTE:.1f}" if whole is not None else ""
            tell(f"{what}: {done / _MEGABYTE:.1f}{of} MB")

    return progress
