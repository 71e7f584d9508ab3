"""The filter that writes a number or a date in a pattern."""

from __future__ import annotations

from deployengine.domain.filters import dates, numbers
from deployengine.domain.filters.contract import BadOption, Change, Filter, Unfit

_NUMBERS = ("int", "int32", "double", "decimal")
_DATES = ("date", "datetime", "datetimeoffset")


def _format(first: str, second: str | None = None) -> Change:
    """A pattern, or first what the text is: it decides what the pattern means."""
    if second is None:
        return _either(first)
    kind = first.casefold()
    if kind in _NUMBERS:
        return _number(second)
    if kind in _DATES:
        return _date(second)
    raise BadOption(f"{first!r} is none of Int, Double, Decimal, Date and DateTimeOffset")


def _number(pattern: str) -> Change:
    numbers.check_pattern(pattern)

    def write(text: str) -> str:
        value = numbers.number(text)
        if value is None:
            raise Unfit("it is no number")
        return numbers.written(value, pattern)

    return write


def _date(pattern: str) -> Change:
    dates.check_pattern(pattern)
    return lambda text: dates.written(dates.date_of(text), pattern)


def _either(pattern: str) -> Change:
    """For a number where the text is one, else for a date; it must be right for one of them."""
    try:
        numbers.check_pattern(pattern)
    except BadOption as wrong:
        try:
            return _date(pattern)
        except BadOption:
            raise wrong from None

    def write(text: str) -> str:
        value = numbers.number(text)
        if value is not None:
            return numbers.written(value, pattern)
        try:
            return dates.written(dates.date_of(text), pattern)
        except BadOption:
            raise Unfit("it is no number") from None

    return write


FILTERS = (Filter("Format", "[TYPE] PATTERN", _format),)
