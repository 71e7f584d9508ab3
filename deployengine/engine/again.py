"""Again and back: what failed is tried again, what was there before comes back."""

from __future__ import annotations

from dataclasses import replace

from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import deployment_id
from deployengine.domain.planning import Unseal
from deployengine.domain.variables import key
from deployengine.engine.archive import Archive
from deployengine.engine.carried_out import carried_out, left_of
from deployengine.engine.deployments import Deployments, find_deployment, find_release
from deployengine.engine.intake import Intake, Terms
from deployengine.engine.ports import Clock
from deployengine.engine.values import stored_values
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord


class NothingToRetry(RequestError):
    """The deployment has not ended, or nothing of it went wrong."""


class NoPredecessor(RequestError):
    """No other release has succeeded in the environment before."""


class NothingNew(RequestError):
    """Every machine of the environment has the release already."""


class Again:
    """Asks for deployments that follow from what has been deployed."""

    def __init__(
        self,
        database: Database,
        deployments: Deployments,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
    ) -> None:
        self._database = database
        self._deployments = deployments
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def retry(self, number: int, terms: Terms) -> DeploymentRecord:
        """Deploys again what a deployment did not bring to its end.

        Machines on which something failed go through the whole process again; on the others runs
        what they have not had, and what is for failures or runs always. What was given for
        prompts then is given again, unless it is given anew or nobody asks for it any more. Raises
        ``UnknownName``, :class:`NothingToRetry`, and as ``deploy``.
        """
        with self._database.read() as tx:
            deployment = find_deployment(tx, number)
            if not deployment.state.final or deployment.state is DeploymentState.SUCCEEDED:
                raise NothingToRetry(
                    f"{deployment_id(number)} is {deployment.state}; only what ended otherwise "
                    "than well can be tried again"
                )
            terms = self._carrying_on(tx, deployment, terms)
        return self._deployments.deploy(
            deployment.project,
            deployment.version,
            deployment.environment,
            terms,
            Action.DEPLOYMENT_RETRY,
            {"deployment": deployment_id(number), "state": deployment.state},
        )

    def _carrying_on(self, tx: Transaction, deployment: DeploymentRecord, terms: Terms) -> Terms:
        """The terms with what is left of a deployment and with what was given for it."""
        environment, name = deployment.environment, deployment_id(deployment.id)
        release = find_release(tx, deployment.project, deployment.version)
        snapshot = self._archive.snapshot(tx, release.snapshot_id)
        intake = Intake(tx, self._clock, self._unseal)
        asked = {key(prompt.name) for prompt in intake.asked(snapshot, environment)}
        given = {n: v for n, v in stored_values(deployment).items() if key(n) in asked}
        whole = replace(deployment.selection, done=())
        terms = replace(terms, selection=whole, values={**given, **terms.values})
        planned = intake.plan(snapshot, environment, terms)
        well = carried_out(tx, self._archive, [deployment], deployment.selection.done)
        if not left_of(planned, snapshot.process, well):
            raise NothingToRetry(
                f"{name} is {deployment.state}, but all of it has gone well",
                None,
                "to have it all once more: deployengine release deploy "
                f"{deployment.project} {deployment.version} {environment}",
            )
        anew = {step.name for step in snapshot.process if step.repeated}
        done = sorted(part for part in well if part[0] not in anew)
        return replace(
            terms,
            selection=replace(whole, done=tuple(done)),
            carries_on=(*deployment.carries_on, deployment.id),
        )

    def roll_back(
        self, project: str, environment: str, version: str | None, terms: Terms
    ) -> DeploymentRecord:
        """Deploys what had succeeded in the environment before what is there now.

        What began there last is there now, however it ended. Or a ``version`` that has succeeded
        there at some time. Raises ``UnknownName``, :class:`NoPredecessor`, and as ``deploy``.
        """
        with self._database.read() as tx:
            _check_environment(tx, environment)
            there = _begun(tx, project, environment)
            if version is not None:
                find_release(tx, project, version)
        well = [d for d in there if d.state is DeploymentState.SUCCEEDED]
        before = [d for d in well if d.release_id != there[0].release_id]
        if version is not None:
            before = [d for d in well if d.version == version]
        if not before:
            what = f"{project} {version}" if version else f"no other release of {project}"
            has = "has not succeeded" if version else "has succeeded"
            raise NoPredecessor(f"{what} {has} in {environment}")
        was = {"release": f"{project} {there[0].version}"}
        return self._deployments.deploy(
            project, before[0].version, environment, terms, Action.RELEASE_ROLLBACK, was
        )

    def catch_up(
        self, project: str, version: str, environment: str, terms: Terms
    ) -> DeploymentRecord:
        """Deploys a release to those machines only that have not had all of it.

        New machines, ones that were left out, ones that something was skipped on, and ones that
        came back: they go through the whole process. Raises as ``deploy``, and
        :class:`NothingNew`.
        """
        with self._database.read() as tx:
            _check_environment(tx, environment)
            release = find_release(tx, project, version)
            snapshot = self._archive.snapshot(tx, release.snapshot_id)
            planned = Intake(tx, self._clock, self._unseal).plan(snapshot, environment, terms)
            there = _ended(tx, release, environment)
            left = left_of(planned, snapshot.process, carried_out(tx, self._archive, there))
        missing = sorted({machine for _, machine in left if machine})
        if not missing:
            raise NothingNew(f"every machine of {environment} has {project} {version}")
        terms = replace(terms, selection=replace(terms.selection, machines=tuple(missing)))
        return self._deployments.deploy(project, version, environment, terms)


def _check_environment(tx: Transaction, name: str) -> None:
    if name not in (known := tx.catalog.names("environment")):
        raise UnknownName("environment", name, known)


def _ended(tx: Transaction, release: ReleaseRecord, environment: str) -> list[DeploymentRecord]:
    """The release's deployments there that have ended, the oldest first."""
    every = tx.deployments.of_release(release.id)
    return [d for d in every if d.environment == environment and d.state.final]


def _begun(tx: Transaction, project: str, environment: str) -> list[DeploymentRecord]:
    """What has begun there, the latest first."""
    found = [(d.started_at, d) for d in tx.deployments.some(project, environment)]
    begun = [(began, d) for began, d in found if began is not None]
    return [d for _, d in sorted(begun, key=lambda each: (each[0], each[1].id), reverse=True)]
