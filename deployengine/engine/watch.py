"""The watch: workers look after each other, and declare lost who has fallen silent.

A worker is lost only when both witnesses say so: for a whole lease, by the watcher's own clock,
neither its count in the database nor its count in Redis has moved. A witness that has nothing to
say (a Redis that was emptied) agrees; one that cannot be reached does not.
"""

from __future__ import annotations

import logging

from deployengine import failpoints
from deployengine.domain.errors import Unreachable
from deployengine.engine.lease import beat_interval
from deployengine.engine.ports import Clock, Witness
from deployengine.engine.sightings import Sightings
from deployengine.persistence import Database

log = logging.getLogger("deployengine.watch")

#: A worker's name, and what each witness has counted of it.
Count = tuple[str, int, int | None]


class Watch:
    """One process's watch over all workers."""

    def __init__(self, database: Database, witness: Witness, clock: Clock, lease: float) -> None:
        self._database = database
        self._witness = witness
        self._clock = clock
        self._lease = lease
        gap = beat_interval(lease) * 2.5
        self._sightings: Sightings[Count] = Sightings(clock, lease, longest_gap=gap)

    def look(self) -> list[str]:
        """Declares lost who has been silent for a lease; their names.

        Raises ``Unreachable`` when the database cannot be asked.
        """
        with self._database.read() as tx:
            counted = {worker.name: worker.beat for worker in tx.workers.at_work()}
        try:
            witnessed = self._witness.beats()
        except Unreachable as error:
            log.warning("nobody is declared lost while Redis cannot be asked: %s", error)
            return []
        counts = [(name, beat, witnessed.get(name)) for name, beat in counted.items()]
        lost = [name for name, beat, _ in self._sightings.ripe(counts) if self._lose(name, beat)]
        gone = lost + [name for name in witnessed if name not in counted]
        if gone:
            self._witness.forget(gone)
        return lost

    def _lose(self, name: str, beat: int) -> bool:
        with self._database.write("lost") as tx:
            lost = tx.workers.lose(name, beat, self._clock.now())
        if lost:
            failpoints.hit("branch.lost")
            log.warning("%s gave no sign of life for %g s and is lost", name, self._lease)
        return lost
