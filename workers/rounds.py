"""Rounds: a thread that does one thing every few seconds."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from redis.exceptions import RedisError

from deployengine.domain.errors import DeployEngineError

log = logging.getLogger("deployengine.rounds")

#: Seconds until a round that failed is tried again, unless it would come sooner.
AFTER_TROUBLE = 1.0
#: Seconds that the end of a process waits for a round; one that hangs ends with the process.
LAST_ROUND = 5.0


class Rounds(threading.Thread):
    """Does it at once and then at intervals, until stopped.

    A round that fails is told and tried again at the next turn. ``spread`` is the share by which
    an interval may differ, so that many processes do not come all at once.
    """

    def __init__(
        self,
        name: str,
        interval: float,
        act: Callable[[], None],
        *,
        spread: float = 0.0,
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._interval = interval
        self._act = act
        self._spread = spread
        self._on_trouble = on_trouble
        self._stopped = False
        self._bell = threading.Event()

    def run(self) -> None:
        """Goes round."""
        while not self._stopped:
            well = self._go()
            spread = random.uniform(1 - self._spread, 1 + self._spread)  # noqa: S311
            pause = self._interval if well else min(self._interval, AFTER_TROUBLE)
            self._bell.wait(pause * spread)
            self._bell.clear()

    def at_once(self) -> None:
        """The next round comes now."""
        self._bell.set()

    def stop(self) -> None:
        """Ends it after the round that is under way, and waits for that, though not for long."""
        self._stopped = True
        self._bell.set()
        if self.is_alive():
            self.join(LAST_ROUND)

    def _go(self) -> bool:
        try:
            self._act()
            return True
        except (DeployEngineError, RedisError) as error:
            log.warning("%s will try again: %s", self.name, error)
            self._try_to_mend()
        except Exception:
            log.exception("%s failed and will try again", self.name)
        return False

    def _try_to_mend(self) -> None:
        try:
            self._on_trouble()
        except DeployEngineError as error:
            log.warning("%s", error)
