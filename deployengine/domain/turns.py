"""Turns: which runs of a track come next, as its machines go through it at their pace.

Every machine has a *lane*: its runs of the track's steps, in order. A lane is under way from its
first run to its last. A :class:`Pace` says how many lanes may be under way at once, the first
machines first:

- with a *ramp* the first lanes go in batches, and none begins before every lane of the batch
  before has ended;
- the rest goes within a *window*, which slides: whenever a lane ends the next one begins.

Lanes in which nothing runs, as all of it is skipped, take no place in a batch. What comes next
follows from where all lanes are, so it may be asked at any time and as often as one likes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from deployengine.domain.counted import counted


class Turn(StrEnum):
    """Where a run is, as its lane sees it."""

    PENDING = "pending"
    OPEN = "open"
    GOOD = "good"
    BAD = "bad"
    #: It ended badly and its machine was left out for it, so nothing follows on that machine.
    LEFT = "left"
    #: It was skipped: nothing happened on the machine.
    PASSED = "passed"


class Judged(StrEnum):
    """What the condition of a step comes to; ``BROKEN``: nobody can tell, so it ends badly."""

    RUN = "run"
    SKIP = "skip"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many machines may be at work at once: those of a batch, then ``window`` of the rest.

    ``ramp`` has the sizes of the batches; ``window`` ``None`` means all of the rest.
    """

    window: int | None = None
    ramp: tuple[int, ...] = ()

    def __str__(self) -> str:
        """For people who ask why a machine has to wait."""
        rest = "all others" if self.window is None else f"at most {self.window} machines at once"
        return ", then ".join([*(counted(many, "machine") for many in self.ramp), rest])

    @property
    def bounds(self) -> bool:
        """Whether some machines have to wait for others."""
        return self.window is not None or bool(self.ramp)

    def admits(self, number: int, at_work: Sequence[int]) -> bool:
        """Whether the machine of this number may begin while those of these are at work.

        They are numbered from 0 on in the order in which they begin, so these ascend to below it.
        """
        batch = self._batch(number)
        if at_work and self._batch(at_work[0]) != batch:
            return False
        return batch < len(self.ramp) or self.window is None or len(at_work) < self.window

    def _batch(self, number: int) -> int:
        return bisect_right(list(accumulate(self.ramp)), number)


#: Nobody waits for anybody.
AT_ONCE = Pace()

#: A run by its lane's place and its index in the lane.
At = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Due:
    """Runs that are to be readied, to be skipped, and to fail.

    Of those that fail, some are ``left``: their machine is left out for it. What is ``withheld``
    is skipped, too: too many machines have failed, so those do not begin.
    """

    ready: tuple[At, ...] = ()
    skipped: tuple[At, ...] = ()
    broken: tuple[At, ...] = ()
    left: tuple[At, ...] = ()
    withheld: tuple[At, ...] = ()


#: What the step of this index comes to, where one before it went badly or not, in the lane of this
#: place.
Wanted = Callable[[int, bool, int], Judged]


def due(
    lanes: Mapping[int, Sequence[Turn]],
    pace: Pace,
    wanted: Wanted,
    *,
    most: int | None = None,
    exclude: bool = False,
    closing: Collection[At] = (),
    over: bool = False,
) -> Due:
    """What comes next; nothing while everything that may be under way is.

    ``lanes`` are in the order of the machines, by their places. Once a run went badly, and more
    machines than ``most`` have failed, no further lane begins (``None``: they begin all the same).
    ``exclude``: a machine that fails is left out, as long as not too many have. What is
    ``closing`` runs even then, at the end of its machine's turn. ``over``: nothing begins any more.
    """
    going = _Going(lanes, wanted, most, frozenset(closing), exclude=exclude)
    at_work: list[int] = []
    begun = 0
    fresh: list[int] = []
    for place, lane in lanes.items():
        if going.fresh(place):
            fresh.append(place)
            continue
        if Turn.OPEN in lane or going.on(place, over=over):
            at_work.append(begun)
        begun += going.begun(place)
    for place in fresh:
        if not over and going.stopped:
            going.withhold(place)
            continue
        if not over and not pace.admits(begun, at_work):
            break
        if going.on(place, over=over):
            at_work.append(begun)
        begun += going.begun(place)
    return going.due()


def failed(lanes: Collection[Sequence[Turn]]) -> int:
    """On how many machines something went badly, those that were left out for it included."""
    return sum(Turn.BAD in lane or Turn.LEFT in lane for lane in lanes)


def stopped(lanes: Collection[Sequence[Turn]], most: int) -> bool:
    """Whether more machines have failed than may, and not each of them was left out for it."""
    return any(Turn.BAD in lane for lane in lanes) and failed(lanes) > most


class _Going:
    """What is found as one goes on in the lanes, and how they are then; see :func:`due`."""

    def __init__(
        self,
        lanes: Mapping[int, Sequence[Turn]],
        wanted: Wanted,
        most: int | None,
        closing: Collection[At],
        *,
        exclude: bool,
    ) -> None:
        self._lanes = {place: list(lane) for place, lane in lanes.items()}
        self._wanted = wanted
        self._most = most
        self._closing = closing
        self._exclude = exclude
        #: ``None``: to be found out anew.
        self._stopped: bool | None = None
        self._ready: list[At] = []
        self._skipped: list[At] = []
        self._broken: list[At] = []
        self._left: list[At] = []
        self._withheld: list[At] = []

    def due(self) -> Due:
        """All of it."""
        found = (self._ready, self._skipped, self._broken, self._left, self._withheld)
        return Due(*map(tuple, found))

    @property
    def stopped(self) -> bool:
        """Whether no further lane begins."""
        if self._stopped is None:
            most = self._most
            self._stopped = most is not None and stopped(self._lanes.values(), most)
        return self._stopped

    def fresh(self, place: int) -> bool:
        """Whether something is to come in a lane in which nothing has run yet."""
        return Turn.PENDING in self._lanes[place] and not self.begun(place)

    def begun(self, place: int) -> bool:
        """Whether something of a lane runs, has run, or is ready now."""
        return not {Turn.PENDING, Turn.PASSED}.issuperset(self._lanes[place])

    def on(self, place: int, *, over: bool) -> bool:
        """Goes on in a lane in which nothing is open; whether something of it runs next."""
        lane = self._lanes[place]
        for index in self._pending(place):
            at = (place, index)
            skips = over or (Turn.LEFT in lane and at not in self._closing)
            bad = Turn.BAD in lane or Turn.LEFT in lane
            judged = Judged.SKIP if skips else self._wanted(index, bad, place)
            if judged is Judged.RUN:
                self._ready.append(at)
                lane[index] = Turn.OPEN
                return True
            if judged is Judged.BROKEN:
                self._broken.append(at)
                lane[index] = self._broken_as(at)
            else:
                self._skipped.append(at)
                lane[index] = Turn.PASSED
        return False

    def withhold(self, place: int) -> None:
        """Skips a lane that must not begin."""
        for index in self._pending(place):
            self._withheld.append((place, index))
            self._lanes[place][index] = Turn.PASSED

    def _pending(self, place: int) -> Iterator[int]:
        return (i for i, turn in enumerate(self._lanes[place]) if turn is Turn.PENDING)

    def _broken_as(self, at: At) -> Turn:
        place, index = at
        self._lanes[place][index] = Turn.BAD
        self._stopped = None
        most = self._most
        too_many = most is not None and failed(self._lanes.values()) > most
        if too_many or not self._exclude:
            return Turn.BAD
        self._left.append(at)
        return Turn.LEFT
