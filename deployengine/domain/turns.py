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


class Judged(StrEnum):
    """What the condition of a step comes to; ``BROKEN``: nobody can tell, so it ends badly."""

    RUN = "run"
    SKIP = "skip"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Due:
    """Runs that are to be readied, to be skipped, and to fail, as ``(place, index)``."""

    ready: tuple[tuple[int, int], ...]
    skipped: tuple[tuple[int, int], ...]
    broken: tuple[tuple[int, int], ...] = ()


#: What the step of this index comes to, where one before it went badly or not, in the lane of this
#: place.
Wanted = Callable[[int, bool, int], Judged]


def due(
    lanes: Mapping[int, Sequence[Turn]],
    window: int | None,
    wanted: Wanted,
    *,
    stop: bool = False,
    exclude: bool = False,
    over: bool = False,
) -> Due:
    """What comes next; nothing while everything that may be under way is.

    ``lanes`` are in the order of the machines, by their places. Once a run went badly no further
    lane begins (``stop``), or its machine is left out (``exclude``), or neither. ``over``: nothing
    begins any more.
    """
    going = _Going(lanes, wanted, Turn.LEFT if exclude else Turn.BAD)
    under_way = 0
    fresh = [place for place, lane in lanes.items() if set(lane) == {Turn.PENDING}]
    for place, lane in lanes.items():
        if place not in fresh and (Turn.OPEN in lane or going.on(place, over=over)):
            under_way += 1
    for place in fresh:
        stopped = over or (stop and going.badly)
        if not stopped and window is not None and under_way >= window:
            break
        if going.on(place, over=stopped):
            under_way += 1
    return Due(tuple(going.ready), tuple(going.skipped), tuple(going.broken))


class _Going:
    def __init__(
        self, lanes: Mapping[int, Sequence[Turn]], wanted: Wanted, broken_as: Turn
    ) -> None:
        self._lanes = {place: list(lane) for place, lane in lanes.items()}
        self._wanted = wanted
        self._broken_as = broken_as
        self.ready: list[tuple[int, int]] = []
        self.skipped: list[tuple[int, int]] = []
        self.broken: list[tuple[int, int]] = []

    @property
    def badly(self) -> bool:
        """Whether something went badly in some lane, what is broken included."""
        return any(Turn.BAD in lane for lane in self._lanes.values())

    def on(self, place: int, *, over: bool) -> bool:
        """Goes on in a lane in which nothing is open; whether something of it runs next."""
        lane = self._lanes[place]
        for index, turn in enumerate(lane):
            if turn is not Turn.PENDING:
                continue
            skips = over or Turn.LEFT in lane
            judged = Judged.SKIP if skips else self._wanted(index, Turn.BAD in lane, place)
            if judged is Judged.RUN:
                self.ready.append((place, index))
                return True
            if judged is Judged.BROKEN:
                self.broken.append((place, index))
                lane[index] = self._broken_as
            else:
                self.skipped.append((place, index))
        return False
