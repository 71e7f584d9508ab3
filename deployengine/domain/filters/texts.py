"""Filters that cut, join and look into a text."""

from __future__ import annotations

import re

from deployengine.domain.filters.contract import (
    BadOption,
    Change,
    Filter,
    Unfit,
    whole_number,
    yes_or_no,
)

#: The widest indent in numbers; a greater one is taken for the text to indent with, as in Octopus.
_WIDEST = 255


def _trim(side: str = "") -> Change:
    sides: dict[str, Change] = {"": str.strip, "start": str.lstrip, "end": str.rstrip}
    if side.casefold() not in sides:
        raise BadOption(f"{side!r} is neither Start nor End")
    return sides[side.casefold()]


def _truncate(length: str, suffix: str = "...") -> Change:
    most = whole_number(length)
    return lambda text: text if len(text) <= most else text[:most] + suffix


def _substring(first: str, second: str | None = None) -> Change:
    """A length from the beginning or, with two options, a start and a length."""
    start = 0 if second is None else whole_number(first)
    length = whole_number(first if second is None else second)

    def cut(text: str) -> str:
        if start > len(text):
            raise Unfit(f"it is shorter than {start} characters")
        return text[start : start + length]

    return cut


def _append(*options: str) -> Change:
    return lambda text: text + "".join(options)


def _prepend(*options: str) -> Change:
    return lambda text: "".join(options) + text


def _starts_with(beginning: str) -> Change:
    return lambda text: yes_or_no(text.startswith(beginning))


def _ends_with(end: str) -> Change:
    return lambda text: yes_or_no(text.endswith(end))


def _contains(part: str) -> Change:
    return lambda text: yes_or_no(part in text)


def _indent(first: str = "4", second: str | None = None) -> Change:
    """By so many spaces, ``first/further`` lines, ``/further`` lines only, or by a text."""
    first, further = _indents(first) if second is None else (first, second)
    return lambda text: text and first + text.replace("\n", "\n" + further)


def _indents(option: str) -> tuple[str, str]:
    numbers = re.fullmatch(r"(?:(?P<first>\d{0,3})(?P<slash>/))?(?P<further>\d{1,3})", option)
    if numbers is None:
        return option, option
    further = int(numbers["further"])
    first = int(numbers["first"] or 0) if numbers["slash"] else further
    if max(first, further) > _WIDEST:
        return option, option
    return " " * first, " " * further


FILTERS = (
    Filter("ToUpper", "", lambda: str.upper),
    Filter("ToLower", "", lambda: str.lower),
    Filter("Trim", "[Start|End]", _trim),
    Filter("Truncate", "LENGTH [SUFFIX]", _truncate),
    Filter("Substring", "LENGTH|START [LENGTH]", _substring),
    Filter("Append", "TEXT…", _append),
    Filter("Prepend", "TEXT…", _prepend),
    Filter("StartsWith", "TEXT", _starts_with),
    Filter("EndsWith", "TEXT", _ends_with),
    Filter("Contains", "TEXT", _contains),
    Filter("Indent", "[SPACES|TEXT] [TEXT]", _indent),
)
