"""The links of a phase's chain: begin, each step, finish.

A link may be delivered twice, late or after a cancel: each looks at the database first, and what
it returns tells whether the chain goes on from here.
"""

from __future__ import annotations

from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.identity import deployment_id
from deployengine.domain.plan import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.promotion import promote
from deployengine.engine.requests import for_deployment, for_deployments, for_run
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import DeploymentRecord


class Phases:
    """Carries deployments through their steps; holds nothing between two links."""

    def __init__(
        self, database: Database, handoff: HandOff, archive: Archive, clock: Clock, unseal: Unseal
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def begin(self, number: int) -> bool:
        """Starts a deployment that has been given its task tag."""
        with self._database.write("begin") as tx:
            if tx.deployments.begin(number, self._clock.now()):
                return True
            deployment = tx.deployments.get(number)
            if deployment is None or deployment.state is not DeploymentState.QUEUED:
                return deployment is not None and not deployment.state.final
            ahead = tx.deployments.in_the_way(deployment)
        held = any(other.state is not DeploymentState.QUEUED for other in ahead)
        self._handoff.give_back(for_deployment(deployment), for_deployments(ahead), held=held)
        return False

    def open_step(self, number: int, position: int) -> bool:
        """Readies the step's runs, one a machine, and lets in those that can start.

        False: the step is open, and the last of its runs resumes the chain.
        """
        with self._database.write("open") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or deployment.state is not DeploymentState.RUNNING:
                return False
            state = tx.steps.state(number, position)
            if state is not StepState.PENDING:
                return state is StepState.DONE
            plan = self._archive.plan(tx, number)
            planned = plan.steps[position].runs
            if not planned or self._is_over(tx, deployment):
                self._skip(tx, deployment, position)
                return True
            tx.steps.open(number, position, len(planned))
            first = tx.counters.draw(TICKET, len(planned))
            ready = tx.runs.make_ready(number, position, first, self._clock.now())
            tx.claims.touch({run.id: planned[run.place].touched for run in ready})
        self._handoff.exchange(entering=[for_run(deployment, plan, run) for run in ready])
        return False

    def finish(self, number: int) -> None:
        """Ends a deployment, promotes its release if it succeeded, and gives the task tag on."""
        with self._database.write("finish") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or self._unfinished(tx, deployment):
                return
            promoted = self._end(tx, deployment) if not deployment.state.final else []
        # Said again for a deployment that has ended: its first telling may have been lost.
        self._handoff.exchange(leaving=[deployment_id(number)], entering=for_deployments(promoted))

    def _end(self, tx: Transaction, deployment: DeploymentRecord) -> list[DeploymentRecord]:
        now = self._clock.now()
        failed = tx.runs.any_unsuccessful(deployment.id)
        if deployment.cancel_requested_at is not None:
            tx.deployments.end(deployment.id, DeploymentState.CANCELLED, "cancelled", now)
            return []
        if failed:
            tx.deployments.end(deployment.id, DeploymentState.FAILED, _why(tx, deployment), now)
            return []
        before = tx.deployments.succeeded_environments(deployment.release_id)
        queued, held = promote(tx, deployment, before, self._archive, self._clock, self._unseal)
        message = "; ".join(held) or None
        tx.deployments.end(deployment.id, DeploymentState.SUCCEEDED, message, now)
        return queued

    def _is_over(self, tx: Transaction, deployment: DeploymentRecord) -> bool:
        return deployment.cancel_requested_at is not None or tx.runs.any_unsuccessful(deployment.id)

    def _skip(self, tx: Transaction, deployment: DeploymentRecord, position: int) -> None:
        cancelled = deployment.cancel_requested_at is not None
        state = RunState.CANCELLED if cancelled else RunState.SKIPPED
        now = self._clock.now()
        tx.runs.give_up_pending(deployment.id, state, now, step=position)
        tx.steps.skip(deployment.id, position, now)

    def _unfinished(self, tx: Transaction, deployment: DeploymentRecord) -> bool:
        paused = deployment.state is DeploymentState.PAUSED
        return paused or any(s.state is not StepState.DONE for s in tx.steps.of(deployment.id))


def _why(tx: Transaction, deployment: DeploymentRecord) -> str:
    """Where it went wrong, by the last attempt on each machine."""
    last = {(run.step, run.place): run for run in tx.runs.of_deployment(deployment.id)}
    told = (
        ("a step failed on", [r.machine for r in last.values() if r.state is RunState.FAILED]),
        (
            "nobody knows how a step ended on",
            [r.machine for r in last.values() if r.state is RunState.UNKNOWN],
        ),
    )
    return "; ".join(f"{what} {_some(machines)}" for what, machines in told if machines)


def _some(machines: list[str]) -> str:
    more = f" and {len(machines) - 5} more" if len(machines) > 5 else ""
    return f"{', '.join(machines[:5])}{more}"
