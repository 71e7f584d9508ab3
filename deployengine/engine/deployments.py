"""Requesting, cancelling and looking up deployments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.planning import Unseal
from deployengine.domain.release import Snapshot
from deployengine.domain.variables import Sealed
from deployengine.engine.archive import Archive
from deployengine.engine.audit import ENGINE, record, record_request, release_subject
from deployengine.engine.freezes import Frozen, Hold
from deployengine.engine.handoff import HandOff
from deployengine.engine.intake import PLAIN, Intake, Terms
from deployengine.engine.moved import Moved
from deployengine.engine.ports import Clock, Dispatcher
from deployengine.engine.questions import go_on, withdraw
from deployengine.engine.requests import for_deployments
from deployengine.engine.set_outputs import Seal
from deployengine.engine.turns import Turns
from deployengine.persistence import Conflict, Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord, RunRecord


class NotReached(RequestError):
    """The lifecycle does not let the release into the environment yet, or not at all."""


class NoReason(RequestError):
    """Something that is kept on record with its reason has none."""


class InThePast(RequestError):
    """A time that was named has passed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A deployment that was queued, and the ids of those that had to make room for it."""

    deployment: DeploymentRecord
    superseded: Sequence[str]


class Deployments:
    """What people ask of deployments."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        dispatcher: Dispatcher,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
        seal: Seal,
    ) -> None:
        self._seal = seal
        self._database = database
        self._handoff = handoff
        self._dispatcher = dispatcher
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def deploy(
        self,
        project: str,
        version: str,
        environment: str,
        terms: Terms = PLAIN,
        action: Action = Action.RELEASE_DEPLOY,
        before: Mapping[str, Any] | None = None,
    ) -> DeploymentRecord:
        """Queues a deployment of the release to the environment.

        ``action`` and ``before`` are what is put on record: what was asked for, and what it was
        asked for because of.

        Raises :class:`UnknownName`, :class:`NotReached` when the lifecycle keeps the release out,
        :class:`NoMachines`, :class:`InThePast`, and :class:`Frozen` when a freeze is in force and
        no time was named at which it is to begin: then it waits for the freeze's end.
        """
        wanted = (project, version, environment, terms, action, before)
        holds = terms.not_before is not None  # a freeze at that time is waited for
        try:
            with self._database.write("deploy") as tx:
                asked = self.ask(tx, *wanted, holds=holds)
        except Conflict:  # retention has just removed it: now it is missed
            with self._database.write("deploy") as tx:
                asked = self.ask(tx, *wanted, holds=holds)
        self.tell(asked)
        return asked.deployment

    def ask(
        self,
        tx: Transaction,
        project: str,
        version: str,
        environment: str,
        terms: Terms,
        action: Action = Action.RELEASE_DEPLOY,
        before: Mapping[str, Any] | None = None,
        *,
        holds: bool,
    ) -> Asked:
        """The same within a transaction; :meth:`tell` it once that is committed.

        ``holds``: a freeze that is in force makes it wait, instead of being refused.
        """
        self._check_times(terms)
        if terms.override_freeze is not None:
            check_reason(terms.override_freeze, "to override a freeze")
        release = find_release(tx, project, version)
        tx.catalog.check("environment", environment)
        snapshot = self._archive.snapshot(tx, release.snapshot_id)
        self._check_reached(tx, release, snapshot, environment)
        intake = Intake(tx, self._clock, self._unseal)
        intake.superseding.reserve([project])
        planned = intake.plan(snapshot, environment, terms)
        # An empty text is no answer: what stands there stays.
        given = {name: self._sealed(value) for name, value in terms.values.items() if value}
        terms = replace(terms, values=given)
        if not holds:
            _check_freeze(intake.hold(project, environment, terms.options()), environment)
        deployment = intake.queue(snapshot, release, environment, planned, terms)
        overridden = intake.overridden(deployment)
        record_request(tx, self._clock.now(), deployment, action, before, overridden)
        return Asked(deployment, intake.superseding.ended)

    def _sealed(self, value: str | Sealed) -> Sealed:
        """Every value that is given for a deployment is kept as a secret is."""
        return value if isinstance(value, Sealed) else Sealed.from_document(self._seal(value))

    def tell(self, asked: Asked) -> None:
        """Tells admission what has been queued."""
        name = deployment_id(asked.deployment.id)
        with self._handoff.or_later(name):  # tried again, it would be two
            self._handoff.exchange(asked.superseded, for_deployments([asked.deployment]))

    def _check_times(self, terms: Terms) -> None:
        now = self._clock.now()
        for what, moment in (("begin", terms.not_before), ("expire", terms.expires_at)):
            if moment is not None and moment <= now:
                raise InThePast(f"it cannot {what} at {moment.isoformat()}: that has passed")
        if terms.expires_at and terms.not_before and terms.expires_at <= terms.not_before:
            raise InThePast("it would expire before it may begin")

    def _check_reached(
        self, tx: Transaction, release: ReleaseRecord, snapshot: Snapshot, environment: str
    ) -> None:
        lifecycle = snapshot.lifecycle
        if lifecycle.phase_of(environment) is None:
            raise NotReached(
                f"lifecycle {lifecycle.name} of {release.project} {release.version} has no phase "
                f"with {environment}",
                None,
                f"its environments are {', '.join(lifecycle.environments)}",
            )
        succeeded = tx.deployments.succeeded_environments(release.id)
        if release.blocked_at is not None and environment not in succeeded:
            raise NotReached(
                f"{release.project} {release.version} is kept from going further by "
                f"{release.blocked_by}: {release.blocked_reason}",
                None,
                f"deployengine release unblock {release.project} {release.version}",
            )
        obstacle = lifecycle.obstacle(environment, succeeded)
        if obstacle is not None:
            raise NotReached(
                f"{release.project} {release.version} may not enter {environment} yet",
                None,
                f"phase {obstacle.name} comes first: {obstacle.wanted}",
            )

    def cancel(self, number: int, who: str = ENGINE, reason: str | None = None) -> DeploymentRecord:
        """Ends a deployment: what is parked at once, what runs as soon as its scripts are gone.

        A run that asks how it ended stays unknown and asks no more.
        Cancelling what has ended changes nothing. Raises :class:`UnknownName`.
        """
        with self._database.write("cancel") as tx:
            deployment = find_deployment(tx, number, lock=True)
            now = self._clock.now()
            leaving: list[str] = []
            running: list[int] = []
            resumable = False
            tx.deployments.request_cancel(number, now)
            if deployment.state is DeploymentState.QUEUED:
                tx.runs.give_up_pending(number, RunState.CANCELLED, now)
                tx.deployments.end(number, DeploymentState.CANCELLED, "cancelled", now)
                leaving = [deployment_id(number)]
            elif not deployment.state.final:
                parked = tx.runs.cancel_parked(number, now)
                tx.claims.untouch([run.id for run in parked])
                leaving = [run_id(run.id) for run in parked]
                running = tx.runs.request_cancel(number, now)
                resumable = self._count_off(tx, number, [*parked, *withdraw(tx, number, now)], now)
            cancelled = find_deployment(tx, number)
            if not deployment.state.final and deployment.cancel_requested_at is None:
                before, after = {"state": deployment.state}, {"state": cancelled.state}
                subject, action = deployment_id(number), Action.DEPLOYMENT_CANCEL
                record(tx, now, who, action, subject, reason=reason, before=before, after=after)
        with self._handoff.or_later(f"the cancelling of {deployment_id(number)}"):
            self._handoff.exchange(leaving=leaving)
            if running:
                self._dispatcher.cancel(running)
            if resumable:
                self._handoff.resume(number)
        return cancelled

    def cancel_release(
        self, project: str, version: str, who: str = ENGINE
    ) -> list[DeploymentRecord]:
        """Cancels all that is open of a release; raises :class:`UnknownName`."""
        reason = f"all of {release_subject(project, version)}"
        cancelled: list[DeploymentRecord] = []
        while numbers := self._going_on(project, version):  # a promotion may come in between
            # The last in line first, so that none is let in only to be cancelled.
            cancelled += [self.cancel(number, who, reason) for number in reversed(numbers)]
        return cancelled

    def _going_on(self, project: str, version: str) -> list[int]:
        """The deployments of a release that are open, but for those that are being cancelled."""
        with self._database.read() as tx:
            found = tx.deployments.of_release(find_release(tx, project, version).id)
        return [d.id for d in found if not d.state.final and d.cancel_requested_at is None]

    def cancel_run(self, number: int, who: str = ENGINE) -> RunRecord:
        """Ends one run, which then counts against its deployment like one that failed.

        One that waits ends at once, one that runs as soon as its script is gone; one that has
        ended stays as it is. Raises :class:`UnknownName`.
        """
        moved = Moved()
        with self._database.write("cancel") as tx:
            found = tx.runs.get(number)
            if found is None:
                raise UnknownName("step run", run_id(number))
            deployment = find_deployment(tx, found.deployment_id, lock=True)
            plan = self._archive.plan(tx, deployment.id)
            now = self._clock.now()
            waited = tx.runs.cancel_waiting(number, now)
            if waited:
                tx.claims.untouch([number])
                snapshot = self._archive.snapshot(tx, deployment.snapshot_id)
                turns = Turns(tx, deployment, plan, snapshot, self._unseal, now)
                moved = turns.close(found)
                moved.lining_up = go_on(tx, deployment)
            running = tx.runs.cancel_running(number, now)
            run = tx.runs.get(number)
            assert run is not None
            if waited or (running and found.cancel_requested_at is None):
                before, after = {"state": found.state}, {"state": run.state}
                record(tx, now, who, Action.RUN_CANCEL, run_id(number), before=before, after=after)
        with self._handoff.or_later(f"the cancelling of {run_id(number)}"):
            self._handoff.follow(deployment, plan, moved, [run_id(number)] if waited else [])
            if running:
                self._dispatcher.cancel([number])
        return run

    def _count_off(
        self, tx: Transaction, number: int, ended: Sequence[RunRecord], now: datetime
    ) -> bool:
        """Takes what a cancel has ended off its steps; whether no step is open any more."""
        counts = Counter(run.step for run in ended)
        counts += tx.runs.give_up_pending(number, RunState.CANCELLED, now)
        opened = [s.position for s in tx.steps.of(number) if s.state is StepState.OPEN]
        done = [
            tx.steps.count_down(number, position, counts[position], now)
            for position in opened
            if counts[position]
        ]
        return bool(done) and all(done) and len(done) == len(opened)


def check_reason(reason: str, what_for: str) -> None:
    """Raises :class:`NoReason` for one that says nothing."""
    if not reason.strip():
        raise NoReason(f"{what_for} takes a reason, and none was given")


def _check_freeze(hold: Hold | None, environment: str) -> None:
    if hold is not None:
        raise Frozen(
            f"{environment} is frozen by {hold.name} until {hold.until.isoformat()}",
            None,
            "wait, say when it is to begin (--at), or override it with a reason "
            "(--override-freeze)",
        )


def find_release(tx: Transaction, project: str, version: str) -> ReleaseRecord:
    """The release; raises :class:`UnknownName` for the project or the version."""
    release = tx.releases.find(project, version)
    if release is not None:
        return release
    raise UnknownName(f"release of {project} with version", version, versions_of(tx, project))


def versions_of(tx: Transaction, project: str) -> list[str]:
    """The project's versions, the oldest first; raises :class:`UnknownName` for the project."""
    versions = tx.releases.versions(project)
    if not versions:
        tx.catalog.check("project", project)
    return versions


def find_deployment(tx: Transaction, number: int, *, lock: bool = False) -> DeploymentRecord:
    """The deployment; raises :class:`UnknownName`."""
    found = tx.deployments.locked(number) if lock else tx.deployments.get(number)
    if found is None:
        raise UnknownName("deployment", deployment_id(number), ())
    return found
