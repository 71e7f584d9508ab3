"""Again and back: what failed is tried again, what was there before comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError
from deployengine.domain.history import way_back
from deployengine.domain.identity import deployment_id
from deployengine.domain.planning import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.carried_out import carried_out, left_of
from deployengine.engine.deployments import (
    Deployments,
    find_deployment,
    find_release,
    versions_of,
)
from deployengine.engine.history import begun, visit
from deployengine.engine.intake import Intake, Terms
from deployengine.engine.ports import Clock
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord


class NothingToRetry(RequestError):
    """The deployment has not ended, or nothing of it went wrong."""


class NoPredecessor(RequestError):
    """There is no release in the environment to roll back to."""


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
        given = intake.still_asked(snapshot, deployment)
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
            rolls_back=deployment.rolls_back,
        )

    def roll_back(
        self, project: str, environment: str, version: str | None, terms: Terms
    ) -> DeploymentRecord:
        """Deploys the release that was there before what is there now.

        See :func:`~deployengine.domain.history.way_back`. Or a ``version`` that has succeeded there
        at some time. Raises ``UnknownName``, :class:`NoPredecessor`, and as ``deploy``.
        """
        with self._database.read() as tx:
            tx.catalog.check("environment", environment)
            versions_of(tx, project)
            if version is not None:
                find_release(tx, project, version)
            there = begun(tx.deployments.some(project, environment))
        to = _succeeded(there, version) if version else _before(there)
        if to is None:
            raise NoPredecessor(
                f"{project} {version} has not succeeded in {environment}"
                if version
                else f"no release of {project} is left in {environment} to roll back to",
                None,
                "what was rolled back from, or deployed in part, is never gone to by itself: "
                "deployengine release rollback --to VERSION, or release deploy",
            )
        was = {"release": f"{project} {there[-1].version}"}
        terms = replace(terms, rolls_back=True)
        return self._deployments.deploy(
            project, to, environment, terms, Action.RELEASE_ROLLBACK, was
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
            tx.catalog.check("environment", environment)
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


def _ended(tx: Transaction, release: ReleaseRecord, environment: str) -> list[DeploymentRecord]:
    """The release's deployments there that have ended, the oldest first."""
    every = tx.deployments.of_release(release.id)
    return [d for d in every if d.environment == environment and d.state.final]


def _before(there: Sequence[DeploymentRecord]) -> str | None:
    """The version that a rollback goes to by itself."""
    release = way_back(visit(deployment) for deployment in there)
    return next((d.version for d in there if d.release_id == release), None)


def _succeeded(there: Sequence[DeploymentRecord], version: str) -> str | None:
    """The version, if it has succeeded there at some time."""
    well = (d.version for d in there if d.state is DeploymentState.SUCCEEDED)
    return version if version in well else None
