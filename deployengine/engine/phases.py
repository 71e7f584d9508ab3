"""The links of a phase's chain: begin, each step, finish.

A link may be delivered twice, late or after a cancel: each looks at the database first, and what
it returns tells whether the chain goes on from here.
"""

from __future__ import annotations

from datetime import datetime

from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.identity import deployment_id
from deployengine.domain.plan import Plan
from deployengine.domain.planning import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.conclusion import cancelled, conclude
from deployengine.engine.expiry import expire
from deployengine.engine.freezes import Freezes
from deployengine.engine.handoff import HandOff
from deployengine.engine.history import current
from deployengine.engine.ports import Clock
from deployengine.engine.promotion import Promotion, promote
from deployengine.engine.requests import for_deployment, for_deployments, for_run
from deployengine.engine.turns import Turns
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import FENCE
from deployengine.persistence.records import CATCH_UP_FAILED, DeploymentRecord


class Phases:
    """Carries deployments through their steps; holds nothing between two links."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def begin(self, number: int) -> bool:
        """Starts a deployment that has been given its task tag.

        Unless a freeze began meanwhile, its time to begin is over, or it is there by itself and a
        newer release has overtaken it: then it leaves the line.
        """
        with self._database.write("begin") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or (deployment.ticket is None and not deployment.state.final):
                return False
            now = self._clock.now()  # no freeze is in force at the instant at which it begins
            left = (
                expire(tx, self._clock, deployment)
                or self._freeze(tx, deployment, now)
                or self._make_way(tx, deployment)
            )
            tx.counters.lock(FENCE)  # no run is claimed meanwhile, and no other deployment begins
            kept = bool(deployment.holds) and tx.holds.kept_from(number)
            if not left and not kept and tx.deployments.begin(number, now):
                return True
            deployment = tx.deployments.get(number) or deployment
            if not left and deployment.state is not DeploymentState.QUEUED:
                return not deployment.state.final
            ahead = [] if left else tx.deployments.in_the_way(deployment)
        if left:
            self._handoff.exchange(leaving=[deployment_id(number)])
            return False
        held = kept or any(other.state is not DeploymentState.QUEUED for other in ahead)
        self._handoff.give_back(for_deployment(deployment), for_deployments(ahead), held=held)
        return False

    def _freeze(self, tx: Transaction, deployment: DeploymentRecord, now: datetime) -> bool:
        """Takes it out of line if it has not begun before and a freeze is in force."""
        if deployment.overrides_freezes or deployment.started_at is not None:
            return False
        freezes = Freezes.from_catalog(tx)
        hold = freezes.hold(deployment.project, deployment.environment, now)
        return hold is not None and tx.deployments.freeze(deployment.id, hold.name)

    def _make_way(self, tx: Transaction, deployment: DeploymentRecord) -> bool:
        """Ends it if nobody asked for it and what is newer has begun there before it.

        A newer release, or its own one, as somebody did not wait for it: for the end of a freeze.
        """
        if deployment.started_at is not None:
            return False
        said = _overtaken(tx, deployment)
        if said is None:
            return False
        now = self._clock.now()
        if not tx.deployments.give_up(deployment.id, DeploymentState.SUPERSEDED, said, now):
            return False
        tx.runs.give_up_pending(deployment.id, RunState.CANCELLED, now)
        return True

    def open_stage(self, number: int, position: int) -> bool:
        """Opens the stage that begins with this step, and lets in those of its runs that can start.

        False: the stage is open, and the last of its runs resumes the chain.
        """
        with self._database.write("open") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or deployment.state is not DeploymentState.RUNNING:
                return False
            state = tx.steps.state(number, position)
            plan = self._archive.plan(tx, number)
            stage = plan.stage_of(position)
            if state is not StepState.PENDING:
                return tx.steps.all_done(number, stage.positions)
            moved = self._turns(tx, deployment, plan).open(stage)
        self._handoff.exchange(
            leaving=moved.leaving,
            entering=[for_run(deployment, plan, run) for run in moved.ready],
        )
        return moved.done

    def finish(self, number: int) -> None:
        """Ends a deployment, promotes its release if it succeeded, and gives the task tag on."""
        with self._database.write("finish") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or self._unfinished(tx, deployment):
                return
            promoted = self._end(tx, deployment) if not deployment.state.final else Promotion()
        # Said again for a deployment that has ended: its first telling may have been lost.
        self._handoff.exchange(
            leaving=[deployment_id(number), *promoted.superseded],
            entering=for_deployments(promoted.queued),
        )

    def _end(self, tx: Transaction, deployment: DeploymentRecord) -> Promotion:
        now = self._clock.now()
        tx.holds.drop(deployment.id)
        if deployment.cancel_requested_at is not None:
            said = cancelled(tx, deployment, self._archive)
            tx.deployments.end(deployment.id, DeploymentState.CANCELLED, said, now)
            return Promotion()
        end = conclude(tx, deployment, self._archive)
        if not end.well:
            tx.deployments.end(deployment.id, DeploymentState.FAILED, "; ".join(end.told), now)
            if deployment.catches_up:
                for machine in deployment.selection.machines:
                    tx.absences.add(machine, deployment.id, CATCH_UP_FAILED, now)
            return Promotion()
        # Of two environments that end at once one must see the other's success.
        tx.releases.lock(deployment.release_id)
        before = tx.deployments.succeeded_environments(deployment.release_id)
        promoted = promote(tx, deployment, before, self._archive, self._clock, self._unseal)
        message = "; ".join([*end.told, *promoted.held]) or None
        tx.deployments.end(deployment.id, DeploymentState.SUCCEEDED, message, now)
        return promoted

    def _turns(self, tx: Transaction, deployment: DeploymentRecord, plan: Plan) -> Turns:
        snapshot = self._archive.snapshot(tx, deployment.snapshot_id)
        return Turns(tx, deployment, plan, snapshot, self._unseal, self._clock.now())

    def _unfinished(self, tx: Transaction, deployment: DeploymentRecord) -> bool:
        paused = deployment.state is DeploymentState.PAUSED
        return paused or any(s.state is not StepState.DONE for s in tx.steps.of(deployment.id))


def _overtaken(tx: Transaction, deployment: DeploymentRecord) -> str | None:
    """Why what was to come by itself has no point any more; ``None``: it has."""
    if deployment.catches_up:
        others = tx.deployments.some(deployment.project, deployment.environment)
        now = current(each for each in others if each.id != deployment.id)
        another = now is not None and now.release_id != deployment.release_id
        return f"release {now.version} is there by now" if now and another else None
    newer = tx.deployments.overtaken_by(deployment) if deployment.automatic else None
    if newer is None:
        return None
    own = newer == deployment.version
    return "somebody has deployed it there" if own else f"the newer release {newer} is there"
