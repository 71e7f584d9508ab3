"""Absence: what becomes of a run whose machine cannot be used.

Nothing of it has begun there. So it fails, or its deployment goes on without the machine, or it
waits: as a row without a place in line, which gets a ticket when the machine is found to be back
(:mod:`deployengine.engine.calendar`).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from enum import Enum

from deployengine.domain.admission import Request
from deployengine.domain.availability import Health, Reception
from deployengine.domain.deployment import RunState
from deployengine.domain.identity import run_id
from deployengine.engine.claims import Claimed
from deployengine.engine.endings import Endings, Outcome
from deployengine.engine.handoff import HandOff
from deployengine.engine.health import LOOK_AGAIN
from deployengine.engine.outage import outlast
from deployengine.engine.ports import Clock
from deployengine.engine.reception import Obstacle, met
from deployengine.engine.requests import for_run, run_label
from deployengine.persistence import Database

log = logging.getLogger("deployengine.runs")


class _SetAside(Enum):
    DONE = "done"
    #: Its deployment goes on without the machine by now.
    LEFT_OUT = "left out"
    #: Nobody looks at the machine any more, so it would never be found to be back.
    NO_MACHINE = "no machine"
    #: Nothing of it is to run any more.
    OVER = "over"


class Absence:
    """Turns away runs that were claimed and cannot begin."""

    def __init__(
        self, database: Database, handoff: HandOff, endings: Endings, clock: Clock
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._endings = endings
        self._clock = clock

    def met(self, claimed: Claimed, why: str) -> Outcome | None:
        """A run has found its machine out of reach, or unfit; the next ones are told."""
        found = outlast(lambda: self._keep(claimed, why), f"what {claimed.machine.name} lacks")
        return self.turn_away(claimed, found)

    def turn_away(self, claimed: Claimed, why: Obstacle) -> Outcome | None:
        """The end of the run; ``None``: it waits.

        Raises :class:`~deployengine.engine.claims.Relinquished` when it is another worker's by now.
        """
        if why.then is Reception.WAIT:
            return self._let_wait(claimed, why)
        if why.then is Reception.LEAVE_OUT:
            return self._leave_out(claimed, why)
        return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, why.said))

    def _leave_out(self, claimed: Claimed, why: Obstacle) -> Outcome:
        left_out = Outcome(RunState.SKIPPED, None, why.said, absent=why.absent)
        return self._endings.conclude(claimed, left_out)

    def _keep(self, claimed: Claimed, why: str) -> Obstacle:
        machine, project = claimed.machine.name, claimed.deployment.project
        with self._database.write("health") as tx:
            here = bool(tx.catalog.find("machine", [machine]))
            if here and tx.machines.get(machine).state is not Health.UNAVAILABLE:
                now = self._clock.now()
                due_at = now + timedelta(seconds=LOOK_AGAIN)
                tx.machines.found(machine, Health.UNAVAILABLE, now, due_at, why)
            return met(tx, project, machine, why, own=machine == claimed.run.machine)

    def _let_wait(self, claimed: Claimed, why: Obstacle) -> Outcome | None:
        name = run_id(claimed.run.id)
        done = outlast(lambda: self._set_aside(claimed, why.machine), f"{name}'s wait")
        if done is _SetAside.NO_MACHINE:
            said = f"{why.said}; it is not in the catalog any more"
            return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, said))
        if done is _SetAside.LEFT_OUT:
            return self._leave_out(claimed, why)
        if done is _SetAside.OVER:
            return self._endings.conclude(claimed, Outcome(RunState.CANCELLED, None, "cancelled"))
        label = run_label(claimed.deployment, claimed.plan, claimed.run)
        log.info("%s waits for its machine: %s", label, why.said)
        with self._handoff.or_later(f"the wait of {name}"):
            self._handoff.exchange(leaving=[name])
            # The machine may be back by now, and the run in line again before it left.
            if in_line := self._in_line(claimed):
                self._handoff.exchange(entering=in_line)
        return None

    def _in_line(self, claimed: Claimed) -> list[Request]:
        with self._database.read() as tx:
            run = tx.runs.get(claimed.run.id)
        if run is None or run.state is not RunState.WAITING:
            return []
        return [for_run(claimed.deployment, claimed.plan, run)]

    def _set_aside(self, claimed: Claimed, machine: str) -> _SetAside:
        run = claimed.run
        with self._database.write("aside") as tx:
            # First the deployment's row, as who cancels does.
            deployment = tx.deployments.locked(claimed.deployment.id)
            if not tx.catalog.find("machine", [machine]):
                return _SetAside.NO_MACHINE
            gone = deployment is None or deployment.cancel_requested_at is not None
            if gone:
                return _SetAside.OVER
            if tx.lanes.left_out(run.deployment_id, run.machine) and not claimed.step.closes:
                return _SetAside.LEFT_OUT
            if tx.claims.set_aside(run, machine):
                tx.claims.untouch([run.id])
                return _SetAside.DONE
            now = tx.runs.get(run.id)
            answered = (
                now is not None and now.fence is None and claimed.fence in (now.revoked or ())
            )
            return _SetAside.DONE if answered else _SetAside.OVER
