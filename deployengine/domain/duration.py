"""Spans of time as people write them: ``15m``, ``1h30m``, ``90s``, ``90``."""

from __future__ import annotations

import re

#: What a written span looks like; also the pattern that editors check against.
PATTERN = r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s?)?$"

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0)


def seconds(text: str) -> float:
    """The span in seconds; a bare number counts seconds. Raises ``ValueError``."""
    found = _SPAN.fullmatch(text.strip())
    if not text.strip() or found is None:
        raise ValueError("is no span of time: write 90s, 15m, 1h30m or a number of seconds")
    return sum(float(n) * unit for n, unit in zip(found.groups(), _UNITS, strict=True) if n)
