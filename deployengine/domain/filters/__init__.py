"""Filters: what ``#{Name | Filter option …}`` makes of a value, by the names of Octopus.

Each is a pure function of the value and its options. Where Octopus leaves a reference as it stands
because a filter cannot do its work, this engine says so: a half-made text must not be deployed.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployengine.domain.errors import did_you_mean, nearest
from deployengine.domain.filters import (
    dates,
    encodings,
    escapes,
    formats,
    patterns,
    texts,
    uris,
    versions,
)
from deployengine.domain.filters.contract import BadOption, Filter, Unfit

__all__ = ["FILTERS", "LEFT_OUT", "BadFilter", "BadOption", "Filter", "Unfit", "apply", "check"]

_ROOMS = (texts, patterns, escapes, encodings, formats, dates, uris, versions)

#: Every filter by its name in lower case.
FILTERS: dict[str, Filter] = {
    each.name.casefold(): each for room in _ROOMS for each in room.FILTERS
}

_CLOCK = "a value must not hang on the moment it is looked at; call date in the script"
_MARKDOWN = "this engine does not render Markdown"

#: Filters of Octopus that are not here, by their names in lower case, and why.
LEFT_OUT = {
    "nowdate": _CLOCK,
    "nowdateutc": _CLOCK,
    "markdown": _MARKDOWN,
    "markdowntohtml": _MARKDOWN,
    "null": "a reference always has a value; choose with #{if …}",
}


class BadFilter(ValueError):
    """There is no such filter, or not with so many options; ``advice`` says what to write."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def check(name: str, options: Sequence[str | None]) -> None:
    """Whether a filter can work with these options; ``None`` stands for one not yet known.

    Raises :class:`BadFilter` and :class:`BadOption`.
    """
    found = _found(name, len(options))
    known = [option for option in options if option is not None]
    if len(known) == len(options):
        found.prepare(*known)


def apply(name: str, options: Sequence[str], text: str) -> str:
    """The text as the filter changes it; raises as :func:`check`, and :class:`Unfit`."""
    change = _found(name, len(options)).prepare(*options)
    try:
        return change(text)
    except UnicodeError:
        raise Unfit("it holds a character that cannot be encoded") from None


def _found(name: str, count: int) -> Filter:
    wanted = name.casefold()
    if wanted in LEFT_OUT:
        raise BadFilter("this engine does not have it", LEFT_OUT[wanted])
    if wanted not in FILTERS:
        names = ["raw", *(each.name for each in FILTERS.values())]
        advice = (
            did_you_mean(nearest(name, names)) or "docs/variables.md lists those that there are"
        )
        raise BadFilter("there is none of that name", advice)
    found = FILTERS[wanted]
    if not found.takes(count):
        raise BadFilter(f"it cannot have {count} options", f"write {found}")
    return found
