"""Housekeeping and heartbeat: threads that do something every few seconds."""

from __future__ import annotations

import logging
import random
import threading

from redis.exceptions import RedisError

from deployengine.domain.errors import DeployEngineError
from deployengine.services import Services

log = logging.getLogger("deployengine.housekeeping")


class Housekeeping(threading.Thread):
    """Calls the engine's sweep at intervals of ± 20 %, so that many of them spread out."""

    def __init__(self, services: Services) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._services = services
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sweeps until stopped; a sweep that fails is told and tried again at the next turn."""
        interval = self._services.settings.housekeeping_interval
        while not self._stopped.wait(interval * random.uniform(0.8, 1.2)):  # noqa: S311
            try:
                self._services.recovery.sweep()
            except (DeployEngineError, RedisError) as error:
                log.warning("housekeeping will try again: %s", error)
                self._revive()
            except Exception:
                log.exception("housekeeping failed and will try again")

    def _revive(self) -> None:
        """An embedded Redis that died is started again; the locks are rebuilt by who asks first."""
        try:
            self._services.ensure_redis()
        except DeployEngineError as error:
            log.warning("%s", error)

    def stop(self) -> None:
        """Asks for the end, without waiting for it."""
        self._stopped.set()


class Heartbeat(threading.Thread):
    """Keeps a worker on the roll while its process lives, and ends runs that were cancelled."""

    def __init__(self, services: Services, worker: str, task_cap: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._services = services
        self._worker = worker
        self._task_cap = task_cap
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beats at every interval of housekeeping."""
        interval = self._services.settings.housekeeping_interval
        while True:
            try:
                self._services.roll.beat(self._worker, self._task_cap)
                # While the worker closes it hears no broadcast; and a broadcast may get lost.
                self._services.step_runs.cancel(self._services.recovery.cancelling())
            except DeployEngineError as error:
                log.warning("the heartbeat will try again: %s", error)
            except Exception:
                log.exception("the heartbeat failed and will try again")
            if self._stopped.wait(interval):
                return

    def stop(self) -> None:
        """Takes the worker off the roll."""
        self._stopped.set()
        self.join()
        try:
            self._services.roll.leave(self._worker)
        except DeployEngineError as error:
            log.warning("the roll will miss the worker in a while: %s", error)
