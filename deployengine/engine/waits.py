"""Why something is not running now: what it waits for, behind whom, since when, and how long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean

from deployengine.domain.admission import Blocker, Request
from deployengine.domain.availability import Health
from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.errors import UnknownName
from deployengine.domain.identity import Kind, deployment_id, parse, run_id
from deployengine.domain.plan import SHARE, Plan
from deployengine.engine.archive import Archive
from deployengine.engine.deployments import find_deployment
from deployengine.engine.freezes import Freezes
from deployengine.engine.ports import Clock
from deployengine.engine.questions import Question
from deployengine.engine.requests import deployment_label, for_deployment, for_run, on_machine
from deployengine.engine.roll import Roll
from deployengine.locks import HolderView, MachineLocks, ResourceView, WaiterView
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


class Reason(StrEnum):
    """What a wait is for."""

    MACHINE = "machine"
    RESOURCE = "resource"
    TAG = "tag"
    TASK_CAP = "task_cap"
    WINDOW = "window"
    SCHEDULE = "schedule"
    FREEZE = "freeze"
    PHASE = "phase"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Wait:
    """One reason why ``run`` (a step run's or deployment's id) is not running now.

    ``position`` counts from 1; ``expected_start`` is an estimate from what ran before, ``None``
    when nothing did. ``behind`` is the first in line of those that are in the way.
    """

    run: str
    label: str
    waits_for: str
    reason: Reason
    holders: tuple[HolderView, ...]
    position: int | None
    expected_start: datetime | None
    behind: WaiterView | None = None


class Waits:
    """Explains waits; a picture of the moment, changing nothing."""

    def __init__(
        self,
        database: Database,
        locks: MachineLocks,
        archive: Archive,
        clock: Clock,
        roll: Roll,
    ) -> None:
        self._database = database
        self._locks = locks
        self._archive = archive
        self._clock = clock
        self._roll = roll

    def why(self, text: str) -> list[Wait]:
        """Every reason why a release, deployment or step run is not running now.

        Empty when it runs or has ended. Raises :class:`UnknownName` and ``BadId``.
        """
        kind, number = parse(text)
        with self._database.read() as tx:
            if kind is Kind.RELEASE:
                if tx.releases.get(number) is None:
                    raise UnknownName("release", text)
                return [
                    wait
                    for deployment in tx.deployments.of_release(number)
                    for wait in self._of_deployment(tx, deployment)
                ]
            if kind is Kind.DEPLOYMENT:
                return self._of_deployment(tx, find_deployment(tx, number))
            run = tx.runs.get(number)
            if run is None:
                raise UnknownName("step run", text)
            return self._of_run(tx, find_deployment(tx, run.deployment_id), run)

    def otherwise(self, text: str) -> str:
        """How it is with something that waits for nothing: that it runs, or how it has ended.

        Raises :class:`UnknownName` and ``BadId``.
        """
        kind, number = parse(text)
        with self._database.read() as tx:
            if kind is Kind.RELEASE:
                return _states_of(tx.deployments.of_release(number))
            record: DeploymentRecord | RunRecord | None
            record = find_deployment(tx, number) if kind is Kind.DEPLOYMENT else tx.runs.get(number)
        if record is None:
            raise UnknownName("step run", text)
        if not record.state.final:
            return f"is {record.state}"
        message = record.message or ""
        if message.startswith(record.state):  # as "superseded by 1.4.0" does
            return f"has ended: {message}"
        return f"has ended: {record.state}{f', {message}' if message else ''}"

    def _of_deployment(self, tx: Transaction, deployment: DeploymentRecord) -> list[Wait]:
        if deployment.state is DeploymentState.QUEUED:
            return self._before_it_begins(tx, deployment)
        if deployment.state.final:
            return []
        return [
            wait
            for run in tx.runs.of_deployment(deployment.id)
            if run.state is RunState.WAITING
            or run.asks
            or run.paused
            or self._is_next_in_a_window(tx, run)
            for wait in self._of_run(tx, deployment, run)
        ]

    def _is_next_in_a_window(self, tx: Transaction, run: RunRecord) -> bool:
        """Whether a machine's way through an open track is still to begin with this run."""
        if run.state is not RunState.PENDING:
            return False
        if tx.steps.state(run.deployment_id, run.step) is not StepState.OPEN:
            return False
        plan = self._archive.plan(tx, run.deployment_id)
        return plan.stage_of(run.step).track_of(run.step).positions[0] == run.step

    def _of_run(self, tx: Transaction, deployment: DeploymentRecord, run: RunRecord) -> list[Wait]:
        if run.state is RunState.PENDING and deployment.state is DeploymentState.QUEUED:
            return self._before_it_begins(tx, deployment)
        plan = self._archive.plan(tx, deployment.id)
        if run.asks:
            step = self._archive.snapshot(tx, deployment.snapshot_id).process[run.step]
            return [_for_an_answer(Question(deployment, run, step.name), step.responsible)]
        if run.state is RunState.PENDING:
            return [_for_its_turn(tx, plan, run)]
        if run.state is not RunState.WAITING:
            return []
        return self._explain(tx, for_run(deployment, plan, run))

    def _before_it_begins(self, tx: Transaction, deployment: DeploymentRecord) -> list[Wait]:
        if deployment.ticket is not None:
            return self._explain(tx, for_deployment(deployment))
        now = self._clock.now()
        if deployment.not_before is not None and deployment.not_before > now:
            until, reason = deployment.not_before, Reason.SCHEDULE
            waits_for = f"{until.isoformat(' ', 'seconds')}, for which it is scheduled"
        else:
            freezes = Freezes.from_catalog(tx)
            hold = freezes.hold(deployment.project, deployment.environment, now)
            reason, until = Reason.FREEZE, hold.until if hold else now
            waits_for = f"the end of freeze {hold.name if hold else deployment.frozen_by}"
        label, name = deployment_label(deployment), deployment_id(deployment.id)
        return [Wait(name, label, waits_for, reason, (), None, until)]

    def _explain(self, tx: Transaction, request: Request) -> list[Wait]:
        record = self._locks.view(request.id)
        if record is not None and record.granted_at is not None:
            return [self._for_a_slot(request)]
        resources = [claim.resource for claim in request.claims]
        state = self._locks.snapshot(resources)
        if record is None:
            state.submit(request)
        found = [self._behind(tx, request, blocker) for blocker in state.blockers(request.id)]
        return found or [self._for_a_slot(request)]

    def _behind(self, tx: Transaction, request: Request, blocker: Blocker) -> Wait:
        view = _only(self._locks.holders_and_waiters(blocker.resource), blocker.resource)
        position = next((w.position for w in view.waiters if w.id == request.id), None)
        return Wait(
            run=request.id,
            label=request.label,
            waits_for=blocker.resource,
            reason=_reason(blocker.resource),
            holders=view.holders,
            position=position,
            expected_start=self._expected(tx, view, position),
            behind=next((w for w in view.waiters if w.id in blocker.earlier), None),
        )

    def _for_a_slot(self, request: Request) -> Wait:
        kind, _ = parse(request.id)
        if not self._roll.present():
            told = "a worker, and none is running (deployengine up)"
            return Wait(request.id, request.label, told, Reason.TASK_CAP, (), None, None)
        waits_for = "a free slot (task cap)" if kind is Kind.RUN else "housekeeping to begin it"
        return Wait(request.id, request.label, waits_for, Reason.TASK_CAP, (), None, None)

    def _expected(
        self, tx: Transaction, view: ResourceView, position: int | None
    ) -> datetime | None:
        """As if all before it took as long as the latest runs there did, one after another."""
        if not view.resource.startswith("machine:") or position is None:
            return None
        durations = tx.views.durations(view.resource.removeprefix("machine:"))
        durations = durations or tx.views.durations()
        if not durations:
            return None
        each = timedelta(seconds=fmean(durations))
        now = self._clock.now()
        under_way = [max(h.since + each - now, timedelta()) for h in view.holders]
        return now + max(under_way, default=timedelta()) + each * (position - 1)


def _for_its_turn(tx: Transaction, plan: Plan, run: RunRecord) -> Wait:
    """What a run waits for that has no ticket yet, in a deployment that has begun."""
    name, step = run_id(run.id), plan.steps[run.step].name
    label = f"{step}{on_machine(run)}"
    if run.awaits_machine is not None:
        return _for_a_machine(tx, name, label, run.awaits_machine)
    if run.not_before is not None:
        waits_for = f"the pause before attempt {run.attempt}"
        return Wait(name, label, waits_for, Reason.SCHEDULE, (), None, run.not_before)
    stage = plan.stage_of(run.step)
    if tx.steps.state(run.deployment_id, run.step) is StepState.OPEN:
        track = stage.track_of(run.step)
        waits_for = "the steps before it on its machine"
        if track.positions[0] == run.step:
            waits_for = f"its turn: {track.pace}"
        return Wait(name, label, waits_for, Reason.WINDOW, (), None, None)
    before = [s.name for s in plan.steps[: stage.first]]
    waits_for = "its deployment to begin"
    if before:
        waits_for = f"step {before[-1]} to be done on all its machines"
    return Wait(name, label, waits_for, Reason.PHASE, (), None, None)


def _for_a_machine(tx: Transaction, name: str, label: str, machine: str) -> Wait:
    """What a run waits for whose machine could not be used."""
    known = tx.machines.get(machine)
    since = f" since {known.since.isoformat(' ', 'seconds')}" if known.since else ""
    waits_for = f"machine {machine} to be back: unavailable{since}: {known.message}"
    if known.state is not Health.UNAVAILABLE:
        waits_for = f"machine {machine}, which is back: its turn comes at once"
    return Wait(name, label, waits_for, Reason.MACHINE, (), None, None)


def _for_an_answer(asked: Question, responsible: Sequence[str]) -> Wait:
    whose = f"the answer of {' or '.join(responsible)}" if responsible else "an answer"
    waits_for = f"{whose}: {asked.text} ({asked.command})"
    name = run_id(asked.run.id)
    return Wait(name, asked.label, waits_for, Reason.APPROVAL, (), None, None)


def _states_of(deployments: Sequence[DeploymentRecord]) -> str:
    """What became of a release."""
    if not deployments:
        return "has not been deployed yet"
    last = {d.environment: f"{d.environment} {d.state}" for d in deployments}
    return f"waits for nothing: {', '.join(last.values())}"


def _only(views: Iterable[ResourceView], resource: str) -> ResourceView:
    for view in views:
        if view.resource == resource:
            return view
    return ResourceView(resource, (), ())


def _reason(resource: str) -> Reason:
    kind = resource.partition(":")[0]
    if resource.startswith(SHARE):
        return Reason.TASK_CAP
    return Reason(kind) if kind in ("machine", "resource", "tag") else Reason.RESOURCE
