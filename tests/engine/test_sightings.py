"""Sightings: what stood still at every look for long enough, by the looker's own clock."""

from __future__ import annotations

from deployengine.engine.sightings import Sightings
from tests.support.fakes import FakeClock

LONG = 10.0


def test_what_is_seen_for_the_first_time_has_not_stood_still_yet() -> None:
    assert Sightings(FakeClock(), LONG).ripe(["a"]) == []


def test_what_stood_still_for_long_enough_is_told_and_what_came_later_is_not() -> None:
    clock = FakeClock()
    sightings = Sightings[str](clock, LONG)
    sightings.ripe(["a"])
    clock.advance(LONG - 1)
    assert sightings.ripe(["a", "b"]) == []
    clock.advance(1)
    assert sightings.ripe(["a", "b"]) == ["a"]
    clock.advance(LONG)
    assert sightings.ripe(["a", "b"]) == ["a", "b"], "as long as it stands still"


def test_what_was_gone_in_between_begins_anew() -> None:
    clock = FakeClock()
    sightings = Sightings[str](clock, LONG)
    sightings.ripe(["a"])
    clock.advance(LONG)
    sightings.ripe([])
    assert sightings.ripe(["a"]) == []
    clock.advance(LONG)
    assert sightings.ripe(["a"]) == ["a"]


def test_a_looker_that_slept_for_longer_than_its_gap_begins_anew() -> None:
    clock = FakeClock()
    sightings = Sightings[str](clock, LONG, longest_gap=4)
    sightings.ripe(["a"])
    clock.advance(LONG)
    assert sightings.ripe(["a"]) == [], "it has seen nothing of what happened"
    for _ in range(2):
        clock.advance(4)
        assert sightings.ripe(["a"]) == []
    clock.advance(2)
    assert sightings.ripe(["a"]) == ["a"]


def test_a_looker_without_a_gap_may_sleep_as_long_as_it_likes() -> None:
    clock = FakeClock()
    sightings = Sightings[str](clock, LONG)
    sightings.ripe(["a"])
    clock.advance(1000)
    assert sightings.ripe(["a"]) == ["a"]
