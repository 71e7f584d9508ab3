"""History: what was in an environment, one after the other, and where a rollback goes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """A deployment that has begun in an environment.

    ``well``: it has succeeded, and nobody had chosen only some of its steps or machines.
    ``back``: it was a rollback.
    """

    release: int
    well: bool
    back: bool = False


def way_back(visits: Iterable[Visit]) -> int | None:
    """The release that a rollback goes to, by what has begun in an environment in this order.

    What began last is what is there now, however it ended. The way back is the last release before
    it that went well, and never one that was rolled back from and has not come again since: so
    each further rollback goes further back, until there is nothing left to go to.
    """
    line: list[Visit] = []
    for visit in visits:
        places = [place for place, earlier in enumerate(line) if earlier.release == visit.release]
        if visit.back and places:
            left = {later.release for later in line[places[-1] + 1 :]}
            line = [earlier for earlier in line if earlier.release not in left]
        line.append(visit)
    before = (v.release for v in reversed(line) if v.well and v.release != line[-1].release)
    return next(before, None)
