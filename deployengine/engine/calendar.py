"""Calendar: what waits for a time goes on when its time has come.

Deployments that are scheduled or frozen, further attempts after a pause, and runs whose machine is
to come back, are rows and nothing else until then. Looked at by housekeeping every second; several
may look at once, since each move happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from deployengine import failpoints
from deployengine.domain.admission import Request
from deployengine.domain.identity import deployment_id
from deployengine.engine.archive import Archive
from deployengine.engine.expiry import expire
from deployengine.engine.freezes import Freezes
from deployengine.engine.handoff import HandOff
from deployengine.engine.pauses import Pauses
from deployengine.engine.ports import Clock
from deployengine.engine.projects import Projects
from deployengine.engine.requests import for_deployments, for_run
from deployengine.engine.superseding import Superseding
from deployengine.engine.tickets import draw
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


class Calendar:
    """Moves on what is due."""

    def __init__(
        self, database: Database, handoff: HandOff, archive: Archive, clock: Clock
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock
        self._pauses = Pauses(clock)

    def look(self) -> None:
        """Everything that is due now; raises ``Unreachable``."""
        if failpoints.left_out("calendar"):
            return
        with self._database.read() as tx:
            now = self._clock.now()
            attempts = [*self._pauses.over(tx.lanes.paused(), now), *tx.lanes.back()]
            if not attempts and not self._anything_else(tx, now):
                return
        with self._database.write("due") as tx:
            now = self._clock.now()
            expired = tx.deployments.expired(now)
            waiting = [d for d in tx.deployments.without_place() if not _is_later(d, now)]
            superseding = Superseding(tx, self._clock, Projects(tx))
            superseding.reserve(
                (d.project for d in waiting),
                {*(d.id for d in (*expired, *waiting)), *(run.deployment_id for run in attempts)},
            )
            gone = [deployment_id(d.id) for d in expired if expire(tx, self._clock, d)]
            entering = [
                *self._attempts(tx, attempts, now),
                *for_deployments(self._line_up(tx, waiting, superseding, now)),
            ]
        leaving = [*gone, *superseding.ended]
        self._handoff.exchange(leaving, [each for each in entering if each.id not in leaving])

    def _anything_else(self, tx: Transaction, now: datetime) -> bool:
        """Whether something but an attempt may be due."""
        if tx.deployments.expired(now):
            return True
        waiting = [d for d in tx.deployments.without_place() if not _is_later(d, now)]
        if not waiting:
            return False
        freezes = Freezes.from_catalog(tx)
        return any(self._may_begin(freezes, d, now) or not d.frozen_by for d in waiting)

    def _line_up(
        self,
        tx: Transaction,
        waiting: Sequence[DeploymentRecord],
        superseding: Superseding,
        now: datetime,
    ) -> list[DeploymentRecord]:
        """Gives a place in line to those whose time has come and that no freeze holds."""
        freezes = Freezes.from_catalog(tx)
        ready = []
        for deployment in waiting:
            if not self._may_begin(freezes, deployment, now):
                hold = freezes.hold(deployment.project, deployment.environment, now)
                assert hold is not None
                tx.deployments.freeze(deployment.id, hold.name)
            elif tx.deployments.line_up(deployment.id, draw(tx, deployment.priority).start):
                ready.append(deployment.id)
                if not deployment.partial and deployment.started_at is None:
                    place = (deployment.project, deployment.environment)
                    superseding.make_room(*place, deployment.release_id, deployment.version)
        found = (tx.deployments.get(number) for number in ready)
        return [deployment for deployment in found if deployment is not None]

    def _may_begin(self, freezes: Freezes, deployment: DeploymentRecord, now: datetime) -> bool:
        hold = freezes.hold(deployment.project, deployment.environment, now)
        return hold is None or deployment.overrides_freezes

    def _attempts(
        self, tx: Transaction, attempts: Sequence[RunRecord], now: datetime
    ) -> list[Request]:
        """Readies the attempts whose pause is over, and the runs whose machine is back."""
        entering = []
        for run in attempts:
            deployment = tx.deployments.get(run.deployment_id)
            if deployment is None or deployment.cancel_requested_at is not None:
                continue
            plan = self._archive.plan(tx, run.deployment_id)
            for ready in tx.lanes.ready([run], draw(tx, deployment.priority), now):
                touched = plan.steps[run.step].runs[run.place].touched
                tx.claims.touch({ready.id: touched})
                entering.append(for_run(deployment, plan, ready))
        return entering


def _is_later(deployment: DeploymentRecord, now: datetime) -> bool:
    return deployment.not_before is not None and deployment.not_before > now
