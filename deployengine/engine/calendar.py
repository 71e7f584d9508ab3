"""Calendar: what waits for a time goes on when its time has come."""

from __future__ import annotations

from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_run
from deployengine.engine.tickets import draw
from deployengine.persistence import Database


class Calendar:
    """Looked at by housekeeping every second; several may look, as each move happens once."""

    def __init__(
        self, database: Database, handoff: HandOff, archive: Archive, clock: Clock
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock

    def look(self) -> None:
        """Readies the attempts whose pause is over; raises ``Unreachable``."""
        with self._database.read() as tx:
            if not tx.lanes.due(self._clock.now()):
                return
        entering = []
        with self._database.write("due") as tx:
            now = self._clock.now()
            for run in tx.lanes.due(now):
                deployment = tx.deployments.locked(run.deployment_id)
                if deployment is None or deployment.cancel_requested_at is not None:
                    continue
                plan = self._archive.plan(tx, run.deployment_id)
                for ready in tx.lanes.ready([run], draw(tx, deployment.priority), now):
                    touched = plan.steps[run.step].runs[run.place].touched
                    tx.claims.touch({ready.id: touched})
                    entering.append(for_run(deployment, plan, ready))
        self._handoff.exchange(entering=entering)
