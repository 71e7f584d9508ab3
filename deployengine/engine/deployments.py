"""Requesting, cancelling and looking up deployments."""

from __future__ import annotations

from collections.abc import Collection

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.environment import Machine, machines_in
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.plan import Plan, Unseal, plan
from deployengine.domain.release import Snapshot
from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock, Dispatcher
from deployengine.engine.questions import withdraw
from deployengine.engine.requests import for_deployment
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import DeploymentRecord, NewDeployment, ReleaseRecord


class NotReached(RequestError):
    """The lifecycle does not let the release into the environment yet, or not at all."""


class NoMachines(RequestError):
    """No step of the process has a machine in the environment."""


class Planner:
    """Plans releases against today's machines."""

    def __init__(self, machines: Collection[Machine], unseal: Unseal) -> None:
        self._machines = machines
        self._unseal = unseal

    @classmethod
    def from_catalog(cls, tx: Transaction, unseal: Unseal) -> Planner:
        """A planner for the machines of the applied catalog."""
        return cls([Machine.from_document(d) for d in tx.catalog.documents("machine")], unseal)

    def plan(self, snapshot: Snapshot, environment: str) -> Plan:
        """The plan for one environment; raises :class:`NoMachines` when nothing would run."""
        phase = snapshot.lifecycle.phase_of(environment)
        made = plan(
            snapshot,
            environment,
            phase.name if phase else "",
            machines_in(self._machines, environment),
            self._unseal,
        )
        if not any(step.runs for step in made.steps):
            raise NoMachines(
                f"{snapshot.project} has no step with a machine in {environment}",
                None,
                "give a machine of that environment one of the roles that the steps name",
            )
        return made


def new_deployment(
    snapshot: Snapshot, release: ReleaseRecord, environment: str, planned: Plan, *, automatic: bool
) -> NewDeployment:
    """A deployment as it is stored when it is requested."""
    phase = snapshot.lifecycle.phase_of(environment)
    return NewDeployment(
        release_id=release.id,
        snapshot_id=release.snapshot_id,
        project=snapshot.project,
        version=snapshot.version,
        environment=environment,
        phase=phase.name if phase else "",
        automatic=automatic,
        plan=planned.to_document(),
    )


def enqueue(tx: Transaction, new: NewDeployment, clock: Clock) -> DeploymentRecord:
    """Stores a deployment with its steps and runs, and gives it its place in the order."""
    now = clock.now()
    number = tx.deployments.add(new, tx.counters.draw(TICKET), now)
    made = Plan.from_document(new.plan)
    tx.steps.add(number, [step.name for step in made.steps])
    for position, step in enumerate(made.steps):
        tx.runs.add(number, position, [(r.machine.name, r.lock_mode.value) for r in step.runs])
    stored = tx.deployments.get(number)
    assert stored is not None
    return stored


def fail(
    tx: Transaction,
    snapshot: Snapshot,
    release: ReleaseRecord,
    environment: str,
    message: str,
    clock: Clock,
) -> None:
    """Stores a deployment that could not even be planned, as failed."""
    nothing = Plan(tag=f"{snapshot.project}/{environment}", steps=())
    new = new_deployment(snapshot, release, environment, nothing, automatic=True)
    stored = enqueue(tx, new, clock)
    tx.deployments.end(stored.id, DeploymentState.FAILED, message, clock.now())


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
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._dispatcher = dispatcher
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def deploy(self, project: str, version: str, environment: str) -> DeploymentRecord:
        """Queues a deployment of the release to the environment.

        Raises :class:`UnknownName`, :class:`NotReached` when the lifecycle keeps the release out,
        and :class:`NoMachines`.
        """
        with self._database.write("deploy") as tx:
            release = find_release(tx, project, version)
            if environment not in (known := tx.catalog.names("environment")):
                raise UnknownName("environment", environment, known)
            snapshot = self._archive.snapshot(tx, release.snapshot_id)
            self._check_reached(tx, release, snapshot, environment)
            planned = Planner.from_catalog(tx, self._unseal).plan(snapshot, environment)
            new = new_deployment(snapshot, release, environment, planned, automatic=False)
            deployment = enqueue(tx, new, self._clock)
        with self._handoff.or_later(deployment_id(deployment.id)):  # tried again, it would be two
            self._handoff.exchange(entering=[for_deployment(deployment)])
        return deployment

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
        obstacle = lifecycle.obstacle(
            environment, tx.deployments.succeeded_environments(release.id)
        )
        if obstacle is not None:
            raise NotReached(
                f"{release.project} {release.version} may not enter {environment} yet",
                None,
                f"phase {obstacle.name} comes first: {' and '.join(obstacle.environments)}",
            )

    def cancel(self, number: int) -> DeploymentRecord:
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
                ended = [*parked, *withdraw(tx, number, now)]
                if ended:  # all of the one step that is open
                    resumable = tx.steps.count_down(number, ended[0].step, len(ended), now)
            cancelled = find_deployment(tx, number)
        with self._handoff.or_later(f"the cancelling of {deployment_id(number)}"):
            self._handoff.exchange(leaving=leaving)
            if running:
                self._dispatcher.cancel(running)
            if resumable:
                self._handoff.resume(number)
        return cancelled


def find_release(tx: Transaction, project: str, version: str) -> ReleaseRecord:
    """The release; raises :class:`UnknownName` for the project or the version."""
    release = tx.releases.find(project, version)
    if release is not None:
        return release
    versions = tx.releases.versions(project)
    if not versions and project not in (known := tx.catalog.names("project")):
        raise UnknownName("project", project, known)
    raise UnknownName(f"release of {project} with version", version, versions)


def find_deployment(tx: Transaction, number: int, *, lock: bool = False) -> DeploymentRecord:
    """The deployment; raises :class:`UnknownName`."""
    found = tx.deployments.locked(number) if lock else tx.deployments.get(number)
    if found is None:
        raise UnknownName("deployment", deployment_id(number), ())
    return found
