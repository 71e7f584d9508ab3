"""Pauses before further attempts: over by the clock, or by having been watched for so long.

A pause is the span between two instants in rows, both of the clock of the process in which the
attempt before it ended. That clock may be an hour off, and so may that of who looks. So a pause is
also over when somebody has watched it, on his own monotonic clock, for as long as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from deployengine.engine.ports import Clock
from deployengine.persistence.lanes import Paused
from deployengine.persistence.records import RunRecord


class Pauses:
    """Tells which of them are over, one look after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[int, float] = {}

    def over(self, paused: Iterable[Paused], now: datetime) -> list[RunRecord]:
        """Takes one look at all that are paused."""
        monotonic = self._clock.monotonic()
        looked_at = list(paused)
        self._since = {each.run.id: self._since.get(each.run.id, monotonic) for each in looked_at}
        return [
            each.run
            for each in looked_at
            if each.until <= now or monotonic - self._since[each.run.id] >= each.seconds
        ]
