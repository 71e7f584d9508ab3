"""Turns: which runs of a track come next, as its machines go through it within a window.

Every machine has a *lane*: its runs of the track's steps, in order. A lane is under way from its
first run to its last. A window of N lets N lanes be under way at once, the first machines first,
and slides: whenever a lane ends the next one begins. What comes next follows from where all lanes
are, so it may be asked at any time and as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Turn(StrEnum):
    """Where a run is, as its lane sees it."""

    PENDING = "pending"
    OPEN = "open"
    GOOD = "good"
    BAD = "bad"
    #: It ended badly and its machine was left out for it, so nothing follows on that machine.
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Due:
    """Runs that are to be readied and runs that are to be skipped, as ``(place, index)``."""

    ready: tuple[tuple[int, int], ...]
    skipped: tuple[tuple[int, int], ...]


#: Whether the step of this index is to run, where one before it went badly or not, in the lane of
#: this place.
Wanted = Callable[[int, bool, int], bool]


def due(
    lanes: Mapping[int, Sequence[Turn]],
    window: int | None,
    wanted: Wanted,
    *,
    stop: bool = False,
    over: bool = False,
) -> Due:
    """What comes next; nothing while everything that may be under way is.

    ``lanes`` are in the order of the machines, by their places. ``stop``: once a run went badly no
    further lane begins. ``over``: nothing begins any more.
    """
    going = _Going(wanted)
    under_way = 0
    fresh = {place: lane for place, lane in lanes.items() if set(lane) == {Turn.PENDING}}
    for place, lane in lanes.items():
        if place not in fresh and (Turn.OPEN in lane or going.on(place, lane, over=over)):
            under_way += 1
    stopped = over or (stop and any(Turn.BAD in lane for lane in lanes.values()))
    for place, lane in fresh.items():
        if not stopped and window is not None and under_way >= window:
            break
        if going.on(place, lane, over=stopped):
            under_way += 1
    return Due(tuple(going.ready), tuple(going.skipped))


class _Going:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.ready: list[tuple[int, int]] = []
        self.skipped: list[tuple[int, int]] = []

    def on(self, place: int, lane: Sequence[Turn], *, over: bool) -> bool:
        """Goes on in a lane in which nothing is open; whether something of it runs next."""
        bad = Turn.BAD in lane
        over = over or Turn.LEFT in lane
        for index, turn in enumerate(lane):
            if turn is not Turn.PENDING:
                continue
            if not over and self._wanted(index, bad, place):
                self.ready.append((place, index))
                return True
            self.skipped.append((place, index))
        return False
