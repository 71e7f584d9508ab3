"""Many similar names told briefly: ``app-001 … app-200 (200)``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")

#: Fewer names than this are told one by one.
_SHORTEST = 4


def summary(names: Sequence[str]) -> Iterator[str]:
    """The names in their order, neighbours that count upwards told as one."""
    start = 0
    for end in range(1, len(names) + 1):
        if end == len(names) or not _follows(names[end - 1], names[end]):
            run = names[start:end]
            if len(run) < _SHORTEST:
                yield from run
            else:
                yield f"{run[0]} … {run[-1]} ({len(run)})"
            start = end


def _follows(first: str, second: str) -> bool:
    """Whether the last number in the second name is the one after that in the first."""
    one, two = _NUMBER.fullmatch(first), _NUMBER.fullmatch(second)
    if one is None or two is None or one.group(1, 3) != two.group(1, 3):
        return False
    return two[2] == str(int(one[2]) + 1).zfill(len(one[2]))
