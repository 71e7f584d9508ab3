"""A place in a text that is being read: going on, going deeper, and saying what is wrong there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from deployengine.domain.reference_errors import BadReference
from deployengine.domain.variables import MASK

_SHOWN = re.compile(r"#\{(?:#\{[^{}\n`]*\}|[^{}\n`])*\}?")

#: So deep may one stand within another.
_DEEPEST = 50

_LITERAL = "write ##{ where the text shall hold #{ itself"


class Cursor:
    """Walks through one text; ``hidden`` keeps the text out of error messages."""

    def __init__(self, text: str, hidden: bool) -> None:
        self.text = text
        self.hidden = hidden
        self.at = 0
        self.depth = 0

    def take(self, pattern: re.Pattern[str]) -> str:
        """What matches here, and moves behind it; the empty text where nothing does."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    @contextmanager
    def deeper(self, start: int) -> Iterator[None]:
        """Around the reading of what stands within another; it fails where that goes too deep."""
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(start, f"stands within more than {_DEEPEST - 1} others")
        yield
        self.depth -= 1

    def fail(self, start: int, problem: str, advice: str | None = _LITERAL) -> NoReturn:
        """Raises :class:`BadReference` of the ``#{`` that stands at ``start``."""
        shown = _SHOWN.match(self.text, start)
        what = MASK if self.hidden or shown is None else shown.group()
        line = self.text.count("\n", 0, start) + 1
        raise BadReference(f"{what} {problem}", f"line {line}", advice)
