"""Claims: a grant of Redis becomes a running script only when the database ratifies it.

A claim has a fence number, drawn in its transaction. Whoever takes a run over from a worker that
was lost draws a new one; what is recorded under the old one is refused from then on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from deployengine import failpoints
from deployengine.domain.admission import Request
from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import Unreachable
from deployengine.domain.identity import run_id
from deployengine.domain.plan import Plan, PlannedRun
from deployengine.domain.project import Step
from deployengine.domain.release import Snapshot
from deployengine.engine.archive import Archive
from deployengine.engine.carried_out import runs_with_outputs
from deployengine.engine.handoff import HandOff
from deployengine.engine.outage import outlast
from deployengine.engine.ports import Clock
from deployengine.engine.reception import Obstacle, obstacle
from deployengine.engine.requests import for_run
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import FENCE
from deployengine.persistence.records import DeploymentRecord, RunRecord


class Relinquished(Exception):
    """The run is not this worker's any more: it was lost for a while, and another took it over."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that this process has claimed, with all it needs to carry it out.

    ``earlier`` are the runs of the steps before it that set outputs. With an ``obstacle`` it is
    not to begin.
    """

    run: RunRecord
    deployment: DeploymentRecord
    plan: Plan
    snapshot: Snapshot
    earlier: tuple[RunRecord, ...]
    obstacle: Obstacle | None = None

    @property
    def step(self) -> Step:
        """The step that the run is of."""
        return self.snapshot.process[self.run.step]

    @property
    def planned(self) -> PlannedRun:
        """The run as it was planned."""
        return self.plan.steps[self.run.step].runs[self.run.place]

    @property
    def machine(self) -> Machine:
        """The machine that its script runs on, as it was when the deployment was planned."""
        return self.planned.where

    @property
    def fence(self) -> int:
        """The authority under which it runs."""
        assert self.run.fence is not None  # it came with the claim
        return self.run.fence


@dataclass(frozen=True, slots=True)
class Inherited:
    """A run that was taken over from a worker that was lost.

    ``revoked`` are the fences it ran under before; who took it over earlier may have been lost
    before it told the machine. ``left_by`` is the worker that was lost. ``stored`` says where its
    output in the database ends: in bytes of the ticket's output, and in characters of its own.
    """

    claimed: Claimed
    revoked: tuple[int, ...]
    left_by: str | None
    stored: tuple[int, int]


class _Refused(Exception):
    """The claim is undone as a whole."""


class Claims:
    """Compare-and-set in SQL, with a fence number of its own; what is refused is given back."""

    def __init__(
        self, database: Database, handoff: HandOff, archive: Archive, clock: Clock
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock

    def claim(self, number: int, granted_at: datetime, worker: str) -> Claimed | None:
        """The run, now running under this worker; ``None`` when it may not run, or not any more."""
        fence: int | None = None
        try:
            with self._database.write("claim") as tx:
                fence = tx.counters.draw(FENCE)
                run = tx.claims.claim(number, worker, fence, granted_at, self._clock.now())
                if run is None or _void(run, granted_at):
                    raise _Refused
                claimed = self._whole(tx, run)
                touched = bool(claimed.planned.touched)
                if touched and (tx.claims.in_the_way(run) or tx.holds.held_by_others(number)):
                    raise _Refused
                kept_out = _kept_out(tx, claimed)
            return replace(claimed, obstacle=kept_out) if kept_out else claimed
        except _Refused:
            self._give_back(number, granted_at)
        except Unreachable:
            if fence is not None:
                return outlast(lambda: self._after_all(number, fence), f"{run_id(number)}'s claim")
            raise
        return None

    def owned(self, claimed: Claimed) -> bool:
        """Whether the run is still this worker's."""
        with self._database.read() as tx:
            return tx.claims.owned(claimed.run.id, claimed.fence)

    def orphans(self, of: str, place: str | None) -> list[RunRecord]:
        """Runs whose worker has stopped or was lost, and all that are on record as of this one.

        Those of workers in another place are left out: nothing of them is to be seen from here.
        """
        with self._database.read() as tx:
            return tx.claims.orphans(of, place)

    def stranded(self, place: str) -> list[RunRecord]:
        """Runs of lost workers whose tickets nobody in this place can see."""
        with self._database.read() as tx:
            return tx.claims.stranded(place)

    def take_over(self, orphan: RunRecord, worker: str) -> Inherited | None:
        """The run under this worker and a new fence; ``None`` when somebody was faster."""
        with self._database.write("take-over") as tx:
            run = tx.claims.take_over(orphan, worker, tx.counters.draw(FENCE))
            if run is None:
                return None
            stored = (0, 0) if failpoints.left_out("output-resumed") else tx.outputs.end(run.id)
            return Inherited(self._whole(tx, run), tuple(run.revoked or ()), orphan.worker, stored)

    def put_back(self, claimed: Claimed) -> bool:
        """Gives a run whose script never began, and never will by an old start, to any free slot.

        False when it is not this worker's any more, is to be cancelled, or its machine was left
        out.
        """
        with self._database.write("put-back") as tx:
            # First the deployment's row, as who cancels does: it is marked before, or finds the
            # run waiting afterwards.
            deployment = tx.deployments.locked(claimed.deployment.id)
            if deployment is None or deployment.cancel_requested_at is not None:
                return False
            left_out = tx.lanes.left_out(deployment.id, claimed.run.machine)
            if left_out and not claimed.step.closes:
                return False
            return tx.claims.put_back(claimed.run.id, claimed.fence)

    def hand_over(self, inherited: Inherited) -> None:
        """Leaves a run that was taken over to other workers, as it was."""
        claimed = inherited.claimed
        # One that this worker itself has left behind must not stay with it.
        to = inherited.left_by if inherited.left_by != claimed.run.worker else None
        with self._database.write("take-over") as tx:
            tx.claims.hand_over(claimed.run.id, claimed.fence, to)

    def _after_all(self, number: int, fence: int) -> Claimed | None:
        """Whether a claim without an answer was committed: nobody else would carry it out."""
        with self._database.read() as tx:
            run = tx.runs.get(number)
            if run is None or run.state is not RunState.RUNNING or run.fence != fence:
                return None
            return self._whole(tx, run)

    def _whole(self, tx: Transaction, run: RunRecord) -> Claimed:
        deployment = self._archive.deployment(tx, run.deployment_id)
        snapshot = self._archive.snapshot(tx, deployment.snapshot_id)
        earlier = runs_with_outputs(tx, deployment, snapshot.process, run.step) if run.step else ()
        plan = self._archive.plan(tx, deployment.id)
        return Claimed(run, deployment, plan, snapshot, tuple(earlier))

    def _give_back(self, number: int, granted_at: datetime) -> None:
        with self._database.read() as tx:
            run = tx.runs.get(number)
            if run is None or run.state in (RunState.RUNNING, RunState.PENDING):
                failpoints.hit("branch.duplicate")
                return  # the message came twice, and the run goes on or waits for its machine
            if _void(run, granted_at):
                # It was taken back; another one comes, or has come, unless that was not finished.
                self._handoff.void(self._request(tx, run), granted_at)
                return
            ahead = tx.claims.in_the_way(run) if run.state is RunState.WAITING else []
            requests = {other.id: self._request(tx, other) for other in (*ahead, run)}
            kept = tx.holds.held_by_others(number)
        if run.state.final:  # it was cancelled, perhaps before it was submitted
            failpoints.hit("branch.duplicate")
            self._handoff.exchange(leaving=[run_id(number)])
            return
        failpoints.hit("branch.claim-conflict")
        held = kept or any(other.state is RunState.RUNNING for other in ahead)
        own = requests.pop(number)
        self._handoff.give_back(own, list(requests.values()), held=held)

    def _request(self, tx: Transaction, run: RunRecord) -> Request:
        deployment = self._archive.deployment(tx, run.deployment_id)
        return for_run(deployment, self._archive.plan(tx, deployment.id), run)


def _kept_out(tx: Transaction, claimed: Claimed) -> Obstacle | None:
    """What keeps a run from its machine, or from the one that carries it out.

    What closes a machine's turn is carried out elsewhere though that machine is away.
    """
    project, own, where = claimed.deployment.project, claimed.run.machine, claimed.machine.name
    found = None
    if own == where or not claimed.step.closes:
        found = obstacle(tx, project, own, own=True)
    if found is None and own != where:
        found = obstacle(tx, project, where, own=False)
    return found


def _void(run: RunRecord, granted_at: datetime) -> bool:
    """Whether the grant was taken back."""
    return run.void(granted_at) and not failpoints.left_out("recalled")
