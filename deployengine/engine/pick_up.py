"""Picking up: what a lost worker was running goes on with another one, and nothing starts again.

A process looks after its own runs in the same way: one that is on record as its own, and that none
of its threads is at work on, has come out of an accident here, and is picked up as any other.
"""

from __future__ import annotations

import logging
import threading

from deployengine import failpoints
from deployengine.domain.errors import DeployEngineError
from deployengine.domain.identity import run_id
from deployengine.engine.claims import Inherited
from deployengine.engine.lease import Lease
from deployengine.engine.ports import Clock
from deployengine.engine.sightings import Sightings
from deployengine.engine.step_runs import BeyondUs, StepRuns
from deployengine.engine.watch import Watch
from deployengine.persistence.records import RunRecord

log = logging.getLogger("deployengine.runs")

#: How many scripts of others one process follows at once; the rest is for the next look.
MOST = 200
#: Seconds that a run of one's own may be on record and in no thread: its claim or its end is not
#: answered yet.
ACCIDENT_AFTER = 3.0


class PickUp:
    """Looks for runs whose worker has stopped or was lost, and follows each in a thread."""

    def __init__(self, watch: Watch, lease: Lease, step_runs: StepRuns, clock: Clock) -> None:
        self._watch = watch
        self._lease = lease
        self._step_runs = step_runs
        self._followers: list[threading.Thread] = []
        #: Runs that this process cannot carry on, for others to try.
        self._beyond: set[int] = set()
        #: Runs in another place of which people were told.
        self._told: set[int] = set()
        self._own: Sightings[tuple[int, int | None]] = Sightings(clock, ACCIDENT_AFTER)

    def look(self) -> None:
        """One look around; raises ``Unreachable`` when the database cannot be asked."""
        self._watch.look()
        self._followers = [thread for thread in self._followers if thread.is_alive()]
        self._tell_stranded()
        for orphan in self._orphans()[: max(MOST - len(self._followers), 0)]:
            self._take(orphan)

    def _orphans(self) -> list[RunRecord]:
        if not self._lease.good() or failpoints.left_out("pick-up"):
            return []
        name = self._lease.name
        found = self._step_runs.claims.orphans(name, self._lease.place)
        known = self._step_runs.carries_out
        idle = [r for r in found if r.id not in self._beyond and not known(r.id)]
        mine = {(run.id, run.fence): run for run in idle if run.worker == name}
        others = [run for run in idle if run.worker != name]
        return [mine[each] for each in self._own.ripe(mine)] + others

    def _tell_stranded(self) -> None:
        place = self._lease.place
        for run in self._step_runs.claims.stranded(place) if place else ():
            if run.id not in self._told:
                self._told.add(run.id)
                log.warning(
                    "%s was carried out by %s, on another host or in another home: only a worker "
                    "there can go on with it; cancelling its deployment gives it up",
                    run_id(run.id),
                    run.worker,
                )

    def join(self) -> None:
        """Waits until what is followed has ended, or was let go of."""
        for thread in self._followers:
            thread.join()

    def _take(self, orphan: RunRecord) -> None:
        inherited = self._step_runs.claims.take_over(orphan, self._lease.name)
        if inherited is None:
            return
        log.warning("%s is taken over from %s", run_id(orphan.id), orphan.worker)
        thread = threading.Thread(target=self._follow, args=(inherited,), daemon=True)
        thread.start()
        self._followers.append(thread)

    def _follow(self, inherited: Inherited) -> None:
        try:
            self._step_runs.pick_up(inherited)
        except BeyondUs as error:
            self._beyond.add(inherited.claimed.run.id)
            log.error("%s is left to another worker: %s", run_id(inherited.claimed.run.id), error)
        except DeployEngineError as error:
            log.warning("%s is left for later: %s", run_id(inherited.claimed.run.id), error)
        except Exception:
            log.exception("%s cannot be picked up", run_id(inherited.claimed.run.id))
