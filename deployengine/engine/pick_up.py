"""Picking up: what a lost worker was running goes on with another one, and nothing starts again."""

from __future__ import annotations

import logging
import threading

from deployengine.domain.errors import DeployEngineError
from deployengine.domain.identity import run_id
from deployengine.engine.claims import Inherited
from deployengine.engine.lease import Lease
from deployengine.engine.step_runs import StepRuns
from deployengine.engine.watch import Watch
from deployengine.persistence.records import RunRecord

log = logging.getLogger("deployengine.runs")

#: How many scripts of others one process follows at once; the rest is for the next look.
MOST = 200


class PickUp:
    """Looks for runs whose worker has stopped or was lost, and follows each in a thread."""

    def __init__(self, watch: Watch, lease: Lease, step_runs: StepRuns) -> None:
        self._watch = watch
        self._lease = lease
        self._step_runs = step_runs
        self._followers: list[threading.Thread] = []

    def look(self) -> None:
        """One look around; raises ``Unreachable`` when the database cannot be asked."""
        self._watch.look()
        self._followers = [thread for thread in self._followers if thread.is_alive()]
        orphans = self._step_runs.claims.orphans() if self._lease.good() else []
        for orphan in orphans[: max(MOST - len(self._followers), 0)]:
            self._take(orphan)

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
        except DeployEngineError as error:
            log.warning("%s is left for later: %s", run_id(inherited.claimed.run.id), error)
        except Exception:
            log.exception("%s cannot be picked up", run_id(inherited.claimed.run.id))
