"""Times in the catalog: local ones, their zones, and those that come again by cron."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Annotated
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field

from deployengine.catalog.scalars import as_written
from deployengine.catalog.wording import unknown

#: What a local time looks like; also the pattern that editors check against.
PATTERN = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?$"

_LOCAL = re.compile(PATTERN)
_ABBREVIATION = re.compile("[A-Za-z]{2,5}")
_FIELDS = "five fields: minute, hour, day of month, month, day of week, as in 0 18 * * FRI"
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def gaps(cron: str) -> list[float]:
    """The seconds between the times that a cron rule names, some hundreds at most."""
    begins = takewhile(lambda at: at < _ANY_DAY + timedelta(days=800), CronSim(cron, _ANY_DAY))
    return [(b - a).total_seconds() for a, b in pairwise(islice(begins, 400))]


def _local_time(value: str) -> str:
    value = value.strip().replace(" ", "T")
    try:
        if not _LOCAL.match(value):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        advice = "write 2026-12-20T18:00, and its zone as time_zone"
        raise ValueError(f"is no local time: {advice}") from None
    return value


@cache
def _zones() -> frozenset[str]:
    """Those that mean the same on every host."""
    return frozenset(available_timezones() - {"localtime"})


def _time_zone(name: str) -> str:
    name = name.strip()
    if name in _zones():
        return name
    if _ABBREVIATION.fullmatch(name) and name.upper() not in _zones():
        # The nearest zone would be another abbreviation, many hours away.
        raise ValueError(f"{name!r} is no time zone; write Area/City, as Europe/Vienna")
    raise ValueError(unknown("time zone", name, _zones()))


def _cron(expression: str) -> str:
    expression = " ".join(expression.split())
    if expression.count(" ") != 4:
        raise ValueError(f"must have {_FIELDS}")
    try:
        next(CronSim(expression, _ANY_DAY))
    except CronSimError as error:
        if _is_right_in_another_month(expression):
            raise ValueError("names a day that never comes: its months are too short") from None
        field = str(error).removeprefix("Bad ").replace("-", " ")
        raise ValueError(f"has a wrong {field}; write {_FIELDS}") from None
    except StopIteration:
        raise ValueError("names a time that never comes") from None
    return expression


def _is_right_in_another_month(expression: str) -> bool:
    """Whether only the days and the months do not go together."""
    minute, hour, day, month, weekday = expression.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", _ANY_DAY)
        CronSim(f"{minute} {hour} 1 {month} {weekday}", _ANY_DAY)
    except CronSimError:
        return False
    return True


#: Stored as it is written.
LocalTime = Annotated[
    str,
    BeforeValidator(as_written),
    AfterValidator(_local_time),
    Field(json_schema_extra={"pattern": PATTERN}),
]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, Field(max_length=200), AfterValidator(_cron)]
