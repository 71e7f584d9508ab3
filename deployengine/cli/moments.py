"""Instants and spans of time as people write them in options, and read them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from deployengine.domain import duration


class Moment(click.ParamType[datetime | timedelta]):
    """An instant in UTC, or a span of time from now."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """Local time unless the text names an offset."""
        if not isinstance(value, str):
            moment: datetime | timedelta = value
            return moment
        if value.startswith("+"):
            try:
                return _span(value[1:])
            except ValueError:
                self.fail(f"{value!r} is no span of time: write +30m or +1h30m", param, ctx)
        try:
            return _instant(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-12-01T18:00 or +30m", param, ctx)


class Since(click.ParamType[datetime | timedelta]):
    """An instant in UTC, or how long ago it was."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """Local time unless the text names an offset."""
        if not isinstance(value, str):
            moment: datetime | timedelta = value
            return moment
        with suppress(ValueError):
            return _span(value)
        try:
            return _instant(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-12-01T18:00 or 24h", param, ctx)


def moved(now: datetime, span: timedelta) -> datetime:
    """The instant that is so far from now; raises a usage error beyond the end of all calendars."""
    try:
        return now + span
    except OverflowError:
        days = f"{abs(span.days)} days"
        raise click.BadParameter(f"{days} from now is beyond the end of all calendars") from None


def shown(moment: datetime) -> str:
    """An instant for people: local time with its offset, to the second."""
    return moment.astimezone().isoformat(" ", "seconds")


def _span(text: str) -> timedelta:
    """Raises ``ValueError``, also for one that is too long to be reckoned with."""
    try:
        return timedelta(seconds=duration.seconds(text))
    except OverflowError as error:
        raise ValueError(text) from error


def _instant(text: str) -> datetime:
    """Raises ``ValueError``, also for an instant that UTC has no date for.

    A local time that the clocks skip counts as if they had not been put forward yet, and one that
    they show twice is the first of the two, as in the catalog.
    """
    moment = datetime.fromisoformat(text)
    try:
        if moment.tzinfo is None:
            # astimezone() would take a time that is skipped by the clocks' new setting.
            return datetime.fromtimestamp(moment.timestamp(), UTC)
        return moment.astimezone(UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(text) from error
