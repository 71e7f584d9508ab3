"""Instants and spans of time in options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest

from deployengine.cli.moments import Moment, Since, moved
from deployengine.domain.local_time import instant

Zone = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """Sets the clocks of this process to a time zone."""

    def set_to(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


def read(text: str, kind: click.ParamType = Moment()) -> object:  # noqa: B008 - it has no state
    return kind.convert(text, None, None)


@pytest.mark.parametrize("local", ["2027-03-28T02:30", "2026-10-25T02:30", "2026-07-01T12:00"])
def test_a_local_time_is_the_instant_that_it_is_in_the_catalog(zone: Zone, local: str) -> None:
    zone("Europe/Vienna")
    assert read(local) == instant(local, "Europe/Vienna")


def test_an_hour_that_the_clocks_skip_does_not_begin_early(zone: Zone) -> None:
    zone("Europe/Vienna")
    assert read("2027-03-28T02:30") == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)  # 03:30 CEST


def test_an_offset_that_is_named_counts_and_not_the_zone(zone: Zone) -> None:
    zone("Europe/Vienna")
    assert read("2026-07-01T12:00+00:00") == datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_spans_are_read_with_a_plus_for_what_is_to_come_and_without_for_what_was() -> None:
    assert read("+1h30m") == timedelta(minutes=90)
    assert read("1h30m", Since()) == timedelta(minutes=90)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59", "9999-12-31T23:59-10:00", f"+{'9' * 20}h", "+soon", "soon", ""]
)
def test_what_is_no_time_is_a_usage_error(zone: Zone, text: str) -> None:
    zone("America/New_York")
    for kind in (Moment(), Since()):
        with pytest.raises(click.BadParameter, match="is no"):
            read(text, kind)


def test_no_instant_lies_beyond_the_calendars() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert moved(now, timedelta(days=-1)) == datetime(2025, 12, 31, tzinfo=UTC)
    for span in (timedelta(days=4_000_000), timedelta(days=-4_000_000)):
        with pytest.raises(click.BadParameter, match="beyond the end of all calendars"):
            moved(now, span)
