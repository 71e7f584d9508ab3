"""Filters that search with a regular expression, as .NET writes them."""

from __future__ import annotations

import re
from collections.abc import Callable

from deployengine.domain.filters.contract import BadOption, Change, Filter, yes_or_no

_NAMED = re.compile(
    r"(?P<escaped>\\[^k]|\[[^\]]*\])|\(\?<(?P<group>[A-Za-z_]\w*)>|\\k<(?P<back>\w+)>"
)
_PUT_BACK = re.compile(r"\$(?:(?P<sign>[$&])|(?P<number>\d+)|\{(?P<name>\w+)\})")


def _match(pattern: str) -> Change:
    found = _compiled(pattern)
    return lambda text: yes_or_no(found.search(text) is not None)


def _replace(pattern: str, replacement: str = "") -> Change:
    found, written = _compiled(pattern), _written(replacement)
    return lambda text: found.sub(written, text)


def _compiled(pattern: str) -> re.Pattern[str]:
    """Python reads .NET's expressions but for the spelling of groups that bear a name."""
    try:
        return re.compile(_NAMED.sub(_respelt, pattern))
    except (re.error, OverflowError) as error:
        raise BadOption(f"{pattern!r} is no regular expression: {error}") from None


def _respelt(found: re.Match[str]) -> str:
    if found["group"]:
        return f"(?P<{found['group']}>"
    return f"(?P={found['back']})" if found["back"] else found.group()


def _written(replacement: str) -> Callable[[re.Match[str]], str]:
    """What goes in for a match: ``$1``, ``${name}``, ``$&`` for all of it, ``$$`` for a dollar."""

    def put(found: re.Match[str]) -> str:
        def back(part: re.Match[str]) -> str:
            if part["sign"]:
                return "$" if part["sign"] == "$" else found.group()
            number = part["number"] or part["name"]
            try:
                return found[int(number) if number.isdigit() else number] or ""
            except IndexError:
                return part.group()  # no such group: .NET leaves the words as they are

        return _PUT_BACK.sub(back, replacement)

    return put


FILTERS = (
    Filter("Replace", "REGEX [TEXT]", _replace),
    Filter("Match", "REGEX", _match),
)
