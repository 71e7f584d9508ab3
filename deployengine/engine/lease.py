"""The lease: a worker may begin scripts as long as its last sign of life is young.

Each worker process gives one sign of life for all it does, to two witnesses: the database and
Redis. Whoever sees neither change for a whole lease may declare it lost, and others take its runs
over (:mod:`~deployengine.engine.watch`). The worker itself stops beginning scripts a beat earlier,
by its own monotonic clock, counted from before the sign was given. So between the two no clock of
a host has to be right, only to go on at about the same speed.

A worker that was stopped and wakes finds its lease run out before it begins anything. That cannot
cover a stop between this look and the start itself; there the machine refuses it, as the fence of
its run has been revoked (``deployengine/steps``).
"""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import timedelta

from deployengine.domain.errors import Unreachable
from deployengine.engine.ports import Clock, Witness
from deployengine.persistence import Database

log = logging.getLogger("deployengine.lease")

#: Signs of life in one lease.
BEATS = 5
#: How long a worker that is gone is remembered, for the reports of batches that it worked on.
REMEMBERED = timedelta(days=90)


def beat_interval(lease: float) -> float:
    """Seconds between two signs of life."""
    return lease / BEATS


class Lease:
    """One worker process's lease, under a name that no other process ever has."""

    def __init__(
        self,
        database: Database,
        witness: Witness,
        clock: Clock,
        host_name: str,
        task_cap: int,
        seconds: float,
        place: str | None = None,
    ) -> None:
        """``place`` tells where the folders of this worker's local machines lie."""
        self._database = database
        self._witness = witness
        self._clock = clock
        self._host_name = host_name
        self._task_cap = task_cap
        self.place = place
        self._allowance = seconds - beat_interval(seconds)
        self._lock = threading.Lock()
        self._name = ""
        self._beats = 0
        self._good_since: float | None = None
        self._left = False

    @property
    def name(self) -> str:
        """Under which it claims; another one after it was declared lost."""
        return self._name

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life that a witness took; endless before the first."""
        if self._good_since is None:
            return float("inf")
        return self._clock.monotonic() - self._good_since

    def good(self) -> bool:
        """Whether a script may be begun."""
        return self.silence < self._allowance

    def beat(self) -> None:
        """Gives a sign of life; one witness is enough.

        A worker that was declared lost meanwhile says so and goes on under a new name: what ran
        under the old one belongs to whoever takes it over. Raises ``Unreachable`` when neither
        witness can be reached.
        """
        if self._left:
            return
        with self._lock:
            begun = self._clock.monotonic()
            # Redis first: it is given up soon, while a database that hangs may take its time. But
            # a worker that is new has no name before the database knows it.
            ways = [self._to_witness, self._to_database]
            told = [way() for way in (ways if self._name else reversed(ways))]
            troubles = [trouble for trouble in told if trouble is not None]
            if len(troubles) == 2 or not self._name:  # without a name nobody has heard of it
                raise troubles[-1]
            self._good_since = begun
        for trouble in troubles:
            log.warning("one witness did not hear %s: %s", self._name, trouble)

    def leave(self) -> None:
        """Says that the worker has stopped: what it still runs may be taken over at once.

        It gives no sign of life any more.
        """
        self._left = True
        with self._database.write("leave") as tx:
            tx.workers.leave(self._name, self._clock.now())
        try:
            self._witness.forget([self._name])
        except Unreachable as error:
            log.warning("Redis will remember %s for a while: %s", self._name, error)

    def _to_database(self) -> Unreachable | None:
        name = self._name
        try:
            with self._database.write("beat") as tx:
                now = self._clock.now()
                if (not name or not tx.workers.beat(name, now)) and not self._left:
                    name = f"{self._host_name}-{secrets.token_hex(3)}"
                    tx.workers.enter(name, self._task_cap, now, self.place)
                    tx.workers.forget(now - REMEMBERED)
        except Unreachable as error:
            return error
        if self._name and name != self._name:
            log.warning(
                "%s was silent for %.1f s (stopped, or cut off) and was declared lost; its runs "
                "go to other workers, and this process goes on as %s",
                self._name,
                self.silence,
                name,
            )
        self._name = name
        return None

    def _to_witness(self) -> Unreachable | None:
        if not self._name:
            return None  # it is not known to the database yet, so nobody asks for it here
        self._beats += 1
        try:
            self._witness.beat(self._name, self._beats)
        except Unreachable as error:
            return error
        return None
