"""Somebody who watches, as Flower does: without one the engine tells nobody who is parked."""

from __future__ import annotations

import threading
from contextlib import suppress

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from deployengine.embedded.broker_url import broker_url
from deployengine.queue.app import make_app

#: Seconds between two requests for events: who is started later has to be asked, too.
EVERY = 0.4


class Watcher(threading.Thread):
    """Asks all processes for events over and over; a thread, since Redis may be silent."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(name="watcher", daemon=True)
        self._app = make_app(broker_url(redis_url))
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        while not self._stopped.wait(EVERY):
            with suppress(OperationalError, RedisError, OSError):
                self._app.control.enable_events()

    def stop(self) -> None:
        """Asks no more."""
        self._stopped.set()
