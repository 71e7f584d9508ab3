"""Dates as .NET's patterns write them, with English names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from deployengine.domain.filters.contract import BadOption, Change, Filter, Unfit

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_PIECE = re.compile(
    r"'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)"
    r"|(?P<token>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<sign>[^A-Za-z'\"\\%]+)"
)
_AMOUNT = re.compile(r"-?\d{1,7}(?:\.\d{1,6})?")


def date(text: str) -> datetime | None:
    """The date that a text holds, as ``2030-05-22 09:05:00``; ``None`` for any other text."""
    try:
        return datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        return None


def date_of(text: str) -> datetime:
    """As :func:`date`; raises :class:`Unfit` for what is none."""
    found = date(text)
    if found is None:
        raise Unfit("it is no date, as 2030-05-22 09:05:00 is")
    return found


def check_pattern(pattern: str) -> None:
    """Raises :class:`BadOption` for a pattern that :func:`written` cannot follow."""
    if pattern in _STANDARD:
        return
    at = 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None or (piece["token"] and piece["token"] not in _TOKENS):
            wrong = piece["token"] if piece else pattern[at:]
            raise BadOption(f"{wrong!r} has no meaning in a pattern of a date")
        at = piece.end()
    if len(pattern) < 2:
        raise BadOption(
            f"{pattern!r} is written in another way in each country; spell it out, as yyyy-MM-dd"
        )


def written(value: datetime, pattern: str) -> str:
    """The date in this pattern; raises :class:`BadOption` and :class:`Unfit`."""
    check_pattern(pattern)
    if pattern in _STANDARD:
        return _STANDARD[pattern](value)
    return "".join(_piece(value, piece) for piece in _PIECE.finditer(pattern))


def _piece(value: datetime, piece: re.Match[str]) -> str:
    if piece["token"]:
        return _TOKENS[piece["token"]](value)
    return piece["single"] or piece["double"] or piece["escaped"] or piece["sign"] or ""


def _zone(value: datetime) -> str:
    """As ``+02:00``; what has no zone has an empty one."""
    offset = value.utcoffset()
    if offset is None:
        return ""
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _known_zone(value: datetime) -> str:
    zone = _zone(value)
    if not zone:
        raise Unfit("it names no time zone, which z asks for")
    return zone


def _fraction(digits: int) -> Callable[[datetime], str]:
    return lambda value: f"{value.microsecond:06}0"[:digits]


def _round_trip(value: datetime) -> str:
    return f"{_seconds(value)}.{value.microsecond:06}0{_zone(value)}"


def _seconds(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="seconds")


#: Patterns of one letter that mean the same in each country.
_STANDARD: dict[str, Callable[[datetime], str]] = {
    "O": _round_trip,
    "o": _round_trip,
    "s": _seconds,
}

_TOKENS: dict[str, Callable[[datetime], str]] = {
    "yyyy": lambda value: f"{value.year:04}",
    "yy": lambda value: f"{value.year % 100:02}",
    "MMMM": lambda value: _MONTHS[value.month - 1],
    "MMM": lambda value: _MONTHS[value.month - 1][:3],
    "MM": lambda value: f"{value.month:02}",
    "M": lambda value: str(value.month),
    "dddd": lambda value: _DAYS[value.weekday()],
    "ddd": lambda value: _DAYS[value.weekday()][:3],
    "dd": lambda value: f"{value.day:02}",
    "d": lambda value: str(value.day),
    "HH": lambda value: f"{value.hour:02}",
    "H": lambda value: str(value.hour),
    "hh": lambda value: f"{value.hour % 12 or 12:02}",
    "h": lambda value: str(value.hour % 12 or 12),
    "mm": lambda value: f"{value.minute:02}",
    "m": lambda value: str(value.minute),
    "ss": lambda value: f"{value.second:02}",
    "s": lambda value: str(value.second),
    "tt": lambda value: "AM" if value.hour < 12 else "PM",
    "t": lambda value: "A" if value.hour < 12 else "P",
    "zzz": _known_zone,
    "zz": lambda value: _known_zone(value)[:3],
    "K": _zone,
    **{"f" * digits: _fraction(digits) for digits in range(1, 8)},
}


def _adding(unit: timedelta) -> Callable[[str], Change]:
    def prepare(amount: str) -> Change:
        if not _AMOUNT.fullmatch(amount):
            raise BadOption(f"{amount!r} is no number")
        span = unit * float(amount)

        def add(text: str) -> str:
            try:
                return _round_trip(date_of(text) + span)
            except OverflowError:
                raise Unfit("the result is no date that there can be") from None

        return add

    return prepare


FILTERS = (
    Filter("AddHours", "HOURS", _adding(timedelta(hours=1))),
    Filter("AddDays", "DAYS", _adding(timedelta(days=1))),
)
