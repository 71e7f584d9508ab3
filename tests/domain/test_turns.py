"""Turns: lanes within a window that slides."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.turns import Due, Judged, Turn, due

P, O, G, B, L = Turn.PENDING, Turn.OPEN, Turn.GOOD, Turn.BAD, Turn.LEFT  # noqa: E741


RUN, SKIP, BROKEN = Judged.RUN, Judged.SKIP, Judged.BROKEN


def after_success(_index: int, bad: bool, _place: int) -> Judged:
    return SKIP if bad else RUN


def broken_first(index: int, bad: bool, place: int) -> Judged:
    return BROKEN if index == 0 else after_success(index, bad, place)


def test_without_a_window_every_machine_begins_at_once() -> None:
    assert due({0: [P], 1: [P], 2: [P]}, None, after_success) == Due(((0, 0), (1, 0), (2, 0)), ())


def test_a_window_lets_the_first_machines_begin() -> None:
    assert due({0: [P, P], 1: [P, P], 2: [P, P]}, 2, after_success).ready == ((0, 0), (1, 0))


def test_a_machine_goes_on_to_its_next_step_whatever_the_others_do() -> None:
    assert due({0: [G, P], 1: [O, P], 2: [P, P]}, 2, after_success).ready == ((0, 1),)


def test_the_window_slides_when_a_machine_is_through() -> None:
    assert due({0: [O, P], 1: [G, G], 2: [P, P]}, 2, after_success).ready == ((2, 0),)


def test_after_a_bad_step_the_rest_of_its_machine_is_skipped() -> None:
    found = due({0: [B, P, P], 1: [P, P, P]}, 1, after_success)
    assert found == Due(((1, 0),), ((0, 1), (0, 2)))


def test_a_group_that_stops_begins_no_further_machine_and_lets_those_under_way_end() -> None:
    found = due({0: [B], 1: [O], 2: [P], 3: [P]}, 2, after_success, stop=True)
    assert found == Due((), ((2, 0), (3, 0)))
    going = due({0: [B, P], 1: [G, P], 2: [P, P]}, 2, after_success, stop=True)
    assert going == Due(((1, 1),), ((0, 1), (2, 0), (2, 1)))


def test_a_step_for_failures_runs_on_the_machine_that_failed() -> None:
    found = due(
        {0: [B, P], 1: [G, P]}, None, lambda index, bad, _: RUN if bad or index == 0 else SKIP
    )
    assert found == Due(((0, 1),), ((1, 1),))


def test_on_a_machine_that_was_left_out_nothing_follows_and_others_go_on() -> None:
    found = due({0: [L, P], 1: [P, P]}, 1, lambda *_: RUN, stop=True)
    assert found == Due(((1, 0),), ((0, 1),))


def test_when_it_is_over_everything_that_has_not_begun_is_skipped() -> None:
    found = due({0: [O, P], 1: [G, P], 2: [P, P]}, 1, lambda *_: RUN, over=True)
    assert found == Due((), ((1, 1), (2, 0), (2, 1)))


def test_after_a_step_of_which_nobody_can_tell_its_machine_has_failed() -> None:
    found = due({0: [P, P], 1: [P, P]}, 1, broken_first)
    assert found == Due((), ((0, 1), (1, 1)), ((0, 0), (1, 0)))
    undo = due({0: [P, P]}, 1, lambda index, bad, _: RUN if bad else BROKEN)
    assert undo == Due(((0, 1),), (), ((0, 0),))


def test_a_step_of_which_nobody_can_tell_stops_a_group_that_stops() -> None:
    found = due({0: [P, P], 1: [P, P]}, 1, broken_first, stop=True)
    assert found == Due((), ((0, 1), (1, 0), (1, 1)), ((0, 0),))


def test_a_step_of_which_nobody_can_tell_leaves_its_machine_out_where_failures_do() -> None:
    everywhere = due(
        {0: [P, P], 1: [P, P]},
        1,
        lambda index, _, place: BROKEN if (place, index) == (0, 0) else RUN,
        exclude=True,
    )
    assert everywhere == Due(((1, 0),), ((0, 1),), ((0, 0),))


@given(
    machines=st.integers(1, 8),
    steps=st.integers(1, 4),
    window=st.one_of(st.none(), st.integers(1, 4)),
    stop=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_every_run_ends_in_order_and_never_more_lanes_are_under_way_than_the_window(
    machines: int, steps: int, window: int | None, stop: bool, seed: int
) -> None:
    dice = random.Random(seed)
    lanes = {place: [P] * steps for place in range(machines)}
    begun: list[tuple[int, int]] = []
    for _ in range(2 * machines * steps + 2):
        found = due(lanes, window, after_success, stop=stop)
        for place, index in found.skipped:
            lanes[place][index] = G if B not in lanes[place] else B
        for place, index in found.ready:
            assert lanes[place][index] is P
            assert P not in lanes[place][:index]
            lanes[place][index] = O
            begun.append((place, index))
        assert due(lanes, window, after_success, stop=stop) == Due((), ())
        going = [p for p, lane in lanes.items() if O in lane]
        assert window is None or len(going) <= window
        if not going:
            break
        place = dice.choice(going)
        lanes[place][lanes[place].index(O)] = dice.choice([G, G, G, B, L])
    assert not any(P in lane or O in lane for lane in lanes.values())
    firsts = [place for place, index in begun if index == 0]
    assert firsts == sorted(firsts)
