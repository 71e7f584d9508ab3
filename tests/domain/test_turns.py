"""Turns: lanes that go at their pace, in batches and within a window that slides."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.turns import At, Due, Judged, Pace, Turn, due, failed

P, O, G, B, L, S = (  # noqa: E741
    Turn.PENDING,
    Turn.OPEN,
    Turn.GOOD,
    Turn.BAD,
    Turn.LEFT,
    Turn.PASSED,
)
RUN, SKIP, BROKEN = Judged.RUN, Judged.SKIP, Judged.BROKEN
FREE, ONE, TWO = Pace(), Pace(1), Pace(2)


def after_success(_index: int, bad: bool, _place: int) -> Judged:
    return SKIP if bad else RUN


def broken_first(index: int, bad: bool, place: int) -> Judged:
    return BROKEN if index == 0 else after_success(index, bad, place)


# ---- a window ----


def test_without_a_window_every_machine_begins_at_once() -> None:
    assert due({0: [P], 1: [P], 2: [P]}, FREE, after_success) == Due(((0, 0), (1, 0), (2, 0)))


def test_a_window_lets_the_first_machines_begin() -> None:
    assert due({0: [P, P], 1: [P, P], 2: [P, P]}, TWO, after_success).ready == ((0, 0), (1, 0))


def test_a_machine_goes_on_to_its_next_step_whatever_the_others_do() -> None:
    assert due({0: [G, P], 1: [O, P], 2: [P, P]}, TWO, after_success).ready == ((0, 1),)


def test_the_window_slides_when_a_machine_is_through() -> None:
    assert due({0: [O, P], 1: [G, G], 2: [P, P]}, TWO, after_success).ready == ((2, 0),)


def test_a_machine_whose_first_step_was_skipped_has_not_begun_and_waits_for_its_turn() -> None:
    assert due({0: [S, P], 1: [S, P]}, ONE, after_success).ready == ((0, 1),)


def test_after_a_bad_step_the_rest_of_its_machine_is_skipped() -> None:
    found = due({0: [B, P, P], 1: [P, P, P]}, ONE, after_success)
    assert found == Due(((1, 0),), ((0, 1), (0, 2)))


def test_a_step_for_failures_runs_on_the_machine_that_failed() -> None:
    found = due(
        {0: [B, P], 1: [G, P]}, FREE, lambda index, bad, _: RUN if bad or index == 0 else SKIP
    )
    assert found == Due(((0, 1),), ((1, 1),))


def test_when_it_is_over_everything_that_has_not_begun_is_skipped() -> None:
    found = due({0: [O, P], 1: [G, P], 2: [P, P]}, ONE, lambda *_: RUN, over=True)
    assert found == Due((), ((1, 1), (2, 0), (2, 1)))


def test_after_a_step_of_which_nobody_can_tell_its_machine_has_failed() -> None:
    found = due({0: [P, P], 1: [P, P]}, ONE, broken_first)
    assert found == Due((), ((0, 1), (1, 1)), ((0, 0), (1, 0)))
    undo = due({0: [P, P]}, ONE, lambda index, bad, _: RUN if bad else BROKEN)
    assert undo == Due(((0, 1),), (), ((0, 0),))


# ---- machines that fail ----


def test_a_group_that_stops_begins_no_further_machine_and_lets_those_under_way_end() -> None:
    found = due({0: [B], 1: [O], 2: [P], 3: [P]}, TWO, after_success, most=0)
    assert found == Due(withheld=((2, 0), (3, 0)))
    going = due({0: [B, P], 1: [G, P], 2: [P, P]}, TWO, after_success, most=0)
    assert going == Due(((1, 1),), ((0, 1),), withheld=((2, 0), (2, 1)))


def test_a_step_of_which_nobody_can_tell_stops_a_group_that_stops() -> None:
    found = due({0: [P, P], 1: [P, P]}, ONE, broken_first, most=0)
    assert found == Due((), ((0, 1),), ((0, 0),), withheld=((1, 0), (1, 1)))


def test_on_a_machine_that_was_left_out_nothing_follows_and_others_go_on() -> None:
    found = due({0: [L, P], 1: [P, P]}, ONE, lambda *_: RUN, most=0)
    assert found == Due(((1, 0),), ((0, 1),))


def test_a_step_of_which_nobody_can_tell_leaves_its_machine_out_where_failures_do() -> None:
    everywhere = due(
        {0: [P, P], 1: [P, P]},
        ONE,
        lambda index, _, place: BROKEN if (place, index) == (0, 0) else RUN,
        exclude=True,
    )
    assert everywhere == Due(((1, 0),), ((0, 1),), ((0, 0),), ((0, 0),))


def test_a_group_goes_on_while_no_more_machines_have_failed_than_may() -> None:
    lanes = {0: [L], 1: [L], 2: [P]}
    assert due(lanes, ONE, after_success, most=2, exclude=True).ready == ((2, 0),)
    beyond = {0: [L], 1: [L], 2: [B], 3: [P]}
    assert due(beyond, ONE, after_success, most=2, exclude=True) == Due(withheld=((3, 0),))


def test_of_steps_of_which_nobody_can_tell_only_so_many_are_left_out() -> None:
    lanes = {place: [P] for place in range(5)}
    found = due(lanes, FREE, broken_first, most=2, exclude=True)
    assert found.broken == ((0, 0), (1, 0), (2, 0))
    assert found.left == ((0, 0), (1, 0))
    assert found.withheld == ((3, 0), (4, 0))


def test_what_a_person_left_out_stops_nothing_however_many_it_was() -> None:
    lanes = {0: [L], 1: [L], 2: [P]}
    assert due(lanes, ONE, after_success, most=1, exclude=True).ready == ((2, 0),)


def test_what_closes_a_turn_runs_on_a_machine_that_was_left_out_too_if_it_began() -> None:
    closing = {(0, 2), (1, 2)}
    found = due({0: [L, S, P], 1: [P, P, P]}, FREE, lambda *_: RUN, closing=closing)
    assert found.ready == ((0, 2), (1, 0))
    assert due({0: [L, S, P]}, FREE, lambda *_: RUN, closing=closing, over=True) == Due(
        (), ((0, 2),)
    )


# ---- batches ----


def test_a_ramp_lets_its_first_batch_begin_and_no_more() -> None:
    lanes = {place: [P] for place in range(4)}
    assert due(lanes, Pace(None, (1, 2)), after_success).ready == ((0, 0),)


def test_the_next_batch_begins_when_every_machine_of_the_one_before_has_ended_its_turn() -> None:
    pace = Pace(None, (2, 2))
    half = {0: [G, G], 1: [G, O], 2: [P, P], 3: [P, P], 4: [P, P]}
    assert due(half, pace, after_success) == Due()
    through = {**half, 1: [G, G]}
    assert due(through, pace, after_success).ready == ((2, 0), (3, 0))


def test_after_the_ramp_all_the_rest_goes_at_once_or_within_its_window() -> None:
    lanes = {0: [G], **{place: [P] for place in range(1, 6)}}
    assert len(due(lanes, Pace(None, (1,)), after_success).ready) == 5
    assert len(due(lanes, Pace(3, (1,)), after_success).ready) == 3
    assert due({**lanes, 1: [O], 2: [G], 3: [O]}, Pace(3, (1,)), after_success).ready == ((4, 0),)


def test_a_batch_is_filled_up_from_machines_on_which_something_runs() -> None:
    gone = {0: [S, S], 1: [P, P], 2: [P, P]}
    assert due(gone, Pace(None, (1,)), after_success).ready == ((1, 0),)
    nothing = due(
        {0: [P], 1: [P], 2: [P]}, Pace(None, (1,)), lambda _, __, place: RUN if place else SKIP
    )
    assert nothing == Due(((1, 0),), ((0, 0),))


def test_a_machine_that_failed_before_anything_ran_was_its_batch() -> None:
    lanes = {0: [P, P], 1: [P, P], 2: [P, P]}
    found = due(
        lanes,
        Pace(None, (1, 1)),
        lambda index, bad, place: SKIP if bad else (RUN if place else BROKEN),
        exclude=True,
    )
    assert found == Due(((1, 0),), ((0, 1),), ((0, 0),), ((0, 0),))


@pytest.mark.parametrize(
    ("pace", "told"),
    [
        (Pace(1), "at most 1 machines at once"),
        (Pace(None, (1, 5)), "1 machine, then 5 machines, then all others"),
        (Pace(4, (2,)), "2 machines, then at most 4 machines at once"),
    ],
)
def test_a_pace_is_told_to_whoever_asks_why_a_machine_waits(pace: Pace, told: str) -> None:
    assert str(pace) == told


# ---- everything that can happen ----


@dataclass
class Course:
    """Lanes that are gone through to their end; each look is checked against what must hold."""

    machines: int
    steps: int
    pace: Pace
    most: int | None = None
    exclude: bool = False
    closing: bool = False
    lanes: dict[int, list[Turn]] = field(init=False)
    begun: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lanes = {place: [P] * self.steps for place in range(self.machines)}

    @property
    def last(self) -> set[At]:
        return {(place, self.steps - 1) for place in self.lanes} if self.closing else set()

    def look(self) -> None:
        before = self._due()
        for place, index in (*before.skipped, *before.withheld):
            self.lanes[place][index] = S
        for place, index in before.ready:
            assert self.lanes[place][index] is P
            assert O not in self.lanes[place]
            assert not {P, O} & set(self.lanes[place][:index])
            if place not in self.begun:
                self._begins(place)
            self.lanes[place][index] = O
        assert self._due() == Due()
        self._check_at_work()

    def _due(self) -> Due:
        return due(
            self.lanes,
            self.pace,
            self._wanted,
            most=self.most,
            exclude=self.exclude,
            closing=self.last,
        )

    def _wanted(self, index: int, bad: bool, place: int) -> Judged:
        return RUN if (place, index) in self.last else after_success(index, bad, place)

    def _begins(self, place: int) -> None:
        """In the order of the machines, its batch after the batches before, nor after a stop."""
        assert place == len(self.begun)
        earlier = [p for p in self.begun if self.batch(p) < self.batch(place)]
        assert all(not {P, O} & set(self.lanes[p]) for p in earlier)
        bad = any(B in lane for lane in self.lanes.values())
        assert not (bad and self.most is not None and failed(self.lanes.values()) > self.most)
        self.begun.append(place)

    def batch(self, place: int) -> int:
        return sum(place >= end for end in accumulate(self.pace.ramp))

    def _check_at_work(self) -> None:
        at_work = self.at_work()
        batches = {self.batch(place) for place in at_work}
        assert len(batches) <= 1
        for batch in batches:
            sizes = (*self.pace.ramp, self.pace.window or self.machines)
            assert len(at_work) <= sizes[batch]

    def at_work(self) -> list[int]:
        return [place for place, lane in self.lanes.items() if O in lane]

    def ends(self, place: int, well: bool) -> None:
        lane = self.lanes[place]
        index = lane.index(O)
        lane[index] = G
        if not well:
            lane[index] = B
            tolerated = self.most is None or failed(self.lanes.values()) <= self.most
            if self.exclude and tolerated:
                lane[index] = L

    def check_end(self) -> None:
        assert not any(P in lane or O in lane for lane in self.lanes.values())
        if not any(B in lane for lane in self.lanes.values()) or self.most is None:
            assert len(self.begun) == self.machines
        for place in self.begun:
            lane = self.lanes[place]
            if self.closing and self.steps > 1:
                assert lane[-1] is not S


PACES = [Pace(window, ramp) for window in (None, 1, 2) for ramp in ((), (1,), (1, 2), (2, 1))]
FAILING = [(None, False), (0, False), (None, True), (1, True)]


def everything(course: Course, choices: Iterator[tuple[int, bool]]) -> None:
    course.look()
    while at_work := course.at_work():
        number, well = next(choices)
        course.ends(at_work[number % len(at_work)], well)
        course.look()
    course.check_end()


@pytest.mark.parametrize("pace", PACES, ids=str)
@pytest.mark.parametrize(("most", "exclude"), FAILING)
@pytest.mark.parametrize("closing", [False, True])
def test_whatever_ends_first_and_however_no_batch_and_no_window_is_exceeded_and_all_of_it_ends(
    pace: Pace, most: int | None, exclude: bool, closing: bool
) -> None:
    """All orders of ends of four machines with two steps, and every way for the first of them."""

    def go(lanes: dict[int, list[Turn]], begun: list[int]) -> None:
        course = Course(4, 2, pace, most, exclude, closing)
        course.lanes, course.begun = {p: list(lane) for p, lane in lanes.items()}, list(begun)
        course.look()
        at_work = course.at_work()
        if not at_work:
            course.check_end()
            return
        for place, well in product(at_work, (True, False)):
            was = {p: list(lane) for p, lane in course.lanes.items()}, list(course.begun)
            course.ends(place, well)
            key = tuple(tuple(lane) for lane in course.lanes.values())
            if key not in seen:
                seen.add(key)
                go(course.lanes, course.begun)
            course.lanes, course.begun = was

    seen: set[tuple[tuple[Turn, ...], ...]] = set()
    go({place: [P, P] for place in range(4)}, [])
    assert len(seen) > 10


@given(
    machines=st.integers(1, 12),
    steps=st.integers(1, 4),
    window=st.none() | st.integers(1, 4),
    ramp=st.lists(st.integers(1, 5), max_size=3),
    failing=st.sampled_from([(None, False), (0, False), (None, True), (1, True), (3, True)]),
    closing=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_many_machines_end_in_any_order_and_the_same_holds(
    machines: int,
    steps: int,
    window: int | None,
    ramp: list[int],
    failing: tuple[int | None, bool],
    closing: bool,
    seed: int,
) -> None:
    dice = random.Random(seed)
    course = Course(machines, steps, Pace(window, tuple(ramp)), *failing, closing)
    chance: Callable[[], tuple[int, bool]] = lambda: (  # noqa: E731
        dice.randrange(machines),
        dice.random() < 0.8,
    )
    everything(course, iter(chance, None))
