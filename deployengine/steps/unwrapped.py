"""Text as it was before a tool broke its long lines, as that for base64 does every 76 digits."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

#: Before a break that only wraps stand so many digits at least.
WIDTH = 40

_DIGIT = rb"[A-Za-z0-9+/_-]"
_WRAP = re.compile(
    # A carriage return that a line feed follows, or may yet follow.
    rb"\r(?<=%(digit)s{40}\r)(?=\n|\Z)"
    # A line feed, and how far the next line is set in.
    rb"|\n(?<=%(digit)s{39}[A-Za-z0-9+/_\r-]\n)[ \t]{0,40}" % {b"digit": _DIGIT}
)


class Unwrapped:
    """A ``text`` without the breaks that only wrap it, and where everything stood in the ``raw``.

    Whether a break wraps shows in the :data:`WIDTH` bytes before it and the one after it.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.text = _WRAP.sub(b"", raw)

    def place(self, at: int) -> int:
        """Where in the raw text the byte ``at`` of the text stands; its end for the text's end."""
        if len(self.text) == len(self.raw):
            return at
        if at == len(self.text):
            return len(self.raw)
        before = bisect_right(self._breaks, at, key=lambda wrap: wrap[0])
        return at + self._breaks[before - 1][1] if before else at

    @cached_property
    def _breaks(self) -> list[tuple[int, int]]:
        """For each wrap the place in the text where it was, and the bytes left out so far."""
        found, left_out = [], 0
        for wrap in _WRAP.finditer(self.raw):
            found.append((wrap.start() - left_out, left_out + len(wrap.group())))
            left_out += len(wrap.group())
        return found
