"""The watch over the locks: a Redis that died or was emptied is found out within a second.

Housekeeping would find it out at its next round, some seconds later; and until then whoever needs
the locks waits, though nobody may need them and so load them again.
"""

from __future__ import annotations

from collections.abc import Callable

from deployengine.domain.errors import Unreachable
from deployengine.locks import MachineLocks

#: Seconds between two looks; one look is two short reads.
LOOK_EVERY = 1.0


class LocksWatch:
    """Starts an embedded Redis that died, and tells who shall load the locks when they are gone."""

    def __init__(
        self, ensure_redis: Callable[[], None], locks: MachineLocks, tell: Callable[[], None]
    ) -> None:
        self._ensure_redis = ensure_redis
        self._locks = locks
        self._tell = tell

    def look(self) -> None:
        """One look; raises ``Unreachable`` when there is no Redis."""
        try:
            lost = self._locks.lost()
        except Unreachable:
            self._ensure_redis()
            lost = self._locks.lost()
        # Nothing is told of locks that are being loaded: who begins it anew undoes the first.
        if lost:
            self._tell()
