"""Sightings: what has stood still for how long, by the clock of who looks.

Instants in rows and in Redis come from other clocks, which may be an hour off. So nobody's age is
computed from them where something depends on it: who looks remembers when it first saw a thing as
it is, on its own monotonic clock.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from deployengine.engine.ports import Clock

T = TypeVar("T", bound=Hashable)


class Sightings(Generic[T]):
    """Tells what was seen, unchanged, at every look for at least so many seconds.

    With ``longest_gap`` a looker that did not look for longer than that begins anew: it may have
    been stopped together with what it watches, and has seen nothing of what happened.
    """

    def __init__(self, clock: Clock, seconds: float, longest_gap: float | None = None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._longest_gap = longest_gap
        self._looked: float | None = None
        self._since: dict[T, float] = {}

    def ripe(self, seen: Iterable[T]) -> list[T]:
        """Takes one look, and returns what has stood still for long enough."""
        now = self._clock.monotonic()
        slept = self._looked is not None and self._longest_gap is not None
        if slept and now - (self._looked or 0.0) > (self._longest_gap or 0.0):
            self._since.clear()
        self._looked = now
        self._since = {thing: self._since.get(thing, now) for thing in seen}
        return [thing for thing, since in self._since.items() if now - since >= self._seconds]
