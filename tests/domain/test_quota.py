"""Quotas: numbers and shares of machines."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.quota import Quota, at_least, at_most


@pytest.mark.parametrize(
    ("quota", "among", "up", "down"),
    [
        (3, 30, 3, 3),
        (3, 2, 3, 3),
        ("10%", 30, 3, 3),
        ("10%", 31, 4, 3),
        ("10%", 4, 1, 0),
        ("100%", 7, 7, 7),
        ("1%", 0, 1, 0),
    ],
)
def test_a_share_is_so_many_of_the_machines_that_there_are(
    quota: Quota, among: int, up: int, down: int
) -> None:
    assert (at_least(quota, among), at_most(quota, among)) == (up, down)


@given(percent=st.integers(1, 100), among=st.integers(1, 1000))
def test_a_share_that_is_rounded_is_next_to_the_exact_one(percent: int, among: int) -> None:
    exact = Fraction(percent * among, 100)
    up, down = at_least(f"{percent}%", among), at_most(f"{percent}%", among)
    assert down <= exact <= up
    assert up - down <= 1
