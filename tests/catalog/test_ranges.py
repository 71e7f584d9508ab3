from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.catalog.ranges import MOST, BadRange, expand


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("qa-1", ["qa-1"]),
        ("prod-[01:03]", ["prod-01", "prod-02", "prod-03"]),
        ("prod-[8:11]", ["prod-8", "prod-9", "prod-10", "prod-11"]),
        ("db-[a:c].eu", ["db-a.eu", "db-b.eu", "db-c.eu"]),
        ("n[0:10:5]", ["n0", "n5", "n10"]),
        ("[a:b][1:2]", ["a1", "a2", "b1", "b2"]),
        ("x[7:7]", ["x7"]),
    ],
)
def test_a_range_stands_for_its_names_in_order(name: str, names: list[str]) -> None:
    assert list(expand(name)) == names


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x[3:1]", "empty"),
        ("x[c:a]", "empty"),
        ("x[1:c]", "mixes"),
        ("x[a:C]", "mixes"),
        ("x[1:09]", "digits"),
        ("x[01:100]", "digits"),
        ("x[1:5:0]", "step of 0"),
        ("x[]", "no range"),
        ("x[1-5]", "no range"),
        ("x[1:5", "no range"),
        ("x1:5]", "no range"),
        ("x[1:99999999999999]", "more than"),
        ("x[1:999][1:999]", "more than"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(BadRange, match=why):
        expand(name)


@given(st.integers(0, 5000), st.integers(0, 500), st.integers(1, 50), st.booleans())
def test_a_range_of_numbers_counts_as_python_does(
    first: int, length: int, step: int, padded: bool
) -> None:
    last = first + length
    width = len(str(last)) + 1 if padded else 0
    name = f"m[{first:0{width}d}:{last:0{width}d}:{step}]"
    assert list(expand(name)) == [f"m{n:0{width}d}" for n in range(first, last + 1, step)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_several_ranges_multiply_and_name_nothing_twice(lengths: list[int]) -> None:
    names = expand("-".join(f"[1:{length}]" for length in lengths))
    total = 1
    for length in lengths:
        total *= length
    assert len(names) == len(set(names)) == total <= MOST


@given(st.text(st.characters(exclude_characters="[]")))
def test_a_name_without_brackets_stands_for_itself(name: str) -> None:
    assert expand(name) == (name,)
