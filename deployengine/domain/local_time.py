"""Local times: what the clocks of a time zone show."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def instant(local: str, time_zone: str) -> datetime:
    """The instant, in UTC, at which the clocks of the zone show this local time.

    One that they skip counts as if they had not been put forward yet; one that they show twice is
    the first of the two.
    """
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
