"""A release somebody wants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A release somebody wants: ``channel`` ``None`` is the project's own lifecycle.

    ``packages`` are names with versions; of those that are not named some version is chosen.
    """

    project: str
    version: str
    channel: str | None = None
    packages: tuple[tuple[str, str], ...] = ()
