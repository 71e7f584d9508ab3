"""The way back: what a rollback goes to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.history import Visit, way_back


def well(release: int) -> Visit:
    return Visit(release, well=True)


def bad(release: int) -> Visit:
    return Visit(release, well=False)


def back(release: int) -> Visit:
    return Visit(release, well=True, back=True)


def test_the_way_back_is_the_last_other_release_that_went_well() -> None:
    assert way_back([]) is None
    assert way_back([well(1)]) is None
    assert way_back([well(1), bad(1)]) is None
    assert way_back([well(1), well(2)]) == 1
    assert way_back([well(1), bad(2), well(3)]) == 1
    assert way_back([well(1), well(2), bad(3)]) == 2
    assert way_back([well(2), well(1)]) == 2


def test_each_further_rollback_goes_further_back_whether_the_one_before_went_well_or_not() -> None:
    there = [well(1), well(2), well(3)]
    assert way_back([*there, back(2)]) == 1
    assert way_back([*there, Visit(2, well=False, back=True)]) == 1
    assert way_back([*there, back(2), back(1)]) is None
    assert way_back([*there, back(1)]) is None


def test_what_was_rolled_back_from_is_not_gone_to_although_it_had_been_there_earlier() -> None:
    there = [well(1), well(2), well(1), well(3)]
    assert way_back(there) == 1
    assert way_back([*there, back(1)]) == 2
    assert way_back([*there, back(1), back(2)]) is None


def test_what_was_rolled_back_from_counts_again_once_it_has_come_again() -> None:
    assert way_back([well(1), well(2), back(1), well(2)]) == 1
    assert way_back([well(1), well(2), back(1), well(2), well(3)]) == 2


def test_a_rollback_to_what_was_rolled_back_from_leaves_what_is_there_as_the_way_back() -> None:
    assert way_back([well(1), well(2), back(1), back(2)]) == 1


@given(st.lists(st.builds(Visit, st.integers(1, 5), st.booleans(), st.booleans())))
def test_rollbacks_in_a_row_come_to_an_end_and_never_to_a_release_twice(
    visits: list[Visit],
) -> None:
    gone_to = []
    while (release := way_back(visits)) is not None:
        gone_to.append(release)
        visits.append(back(release))
    assert len(gone_to) == len(set(gone_to))
