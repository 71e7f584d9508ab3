"""Again and back: what failed is tried again, what was there before comes back."""

from __future__ import annotations

from dataclasses import replace

from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import deployment_id
from deployengine.domain.project import Step
from deployengine.domain.selection import Selection
from deployengine.engine.archive import Archive
from deployengine.engine.deployments import Deployments, find_deployment, find_release
from deployengine.engine.intake import Terms
from deployengine.engine.values import stored_values
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord

#: How a run has ended that need not be carried out again.
_WELL = RunState.SUCCEEDED
#: How one ended that makes its machine one that failed.
_BADLY = (RunState.FAILED, RunState.UNKNOWN, RunState.CANCELLED)


class NothingToRetry(RequestError):
    """The deployment has not ended, or nothing of it went wrong."""


class NoPredecessor(RequestError):
    """No other release has succeeded in the environment before."""


class NothingNew(RequestError):
    """Every machine of the environment has the release already."""


class Again:
    """Asks for deployments that follow from what has been deployed."""

    def __init__(self, database: Database, deployments: Deployments, archive: Archive) -> None:
        self._database = database
        self._deployments = deployments
        self._archive = archive

    def retry(self, number: int, terms: Terms) -> DeploymentRecord:
        """Deploys again what a deployment did not bring to its end.

        Machines on which something failed go through the whole process again; on the others runs
        what they have not had. Raises ``UnknownName``, :class:`NothingToRetry`, and as ``deploy``.
        """
        with self._database.read() as tx:
            deployment = find_deployment(tx, number)
            if not deployment.state.final or deployment.state is DeploymentState.SUCCEEDED:
                raise NothingToRetry(
                    f"{deployment_id(number)} is {deployment.state}; only what ended otherwise "
                    "than well can be tried again"
                )
            process = self._archive.snapshot(tx, deployment.snapshot_id).process
            selection = _what_is_left(deployment, tx.runs.of_deployment(number), process)
            # What was given then is given again, unless it is given anew.
            given = stored_values(deployment)
        terms = replace(terms, selection=selection, values={**given, **terms.values})
        return self._deployments.deploy(
            deployment.project,
            deployment.version,
            deployment.environment,
            terms,
            Action.DEPLOYMENT_RETRY,
            {"deployment": deployment_id(number), "state": deployment.state},
        )

    def roll_back(
        self, project: str, environment: str, version: str | None, terms: Terms
    ) -> DeploymentRecord:
        """Deploys what had succeeded in the environment before what is there now.

        What began there last is there now, however it ended. Or a ``version`` that has succeeded
        there at some time. Raises ``UnknownName``, :class:`NoPredecessor`, and as ``deploy``.
        """
        with self._database.read() as tx:
            if environment not in (known := tx.catalog.names("environment")):
                raise UnknownName("environment", environment, known)
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

        New machines, ones that were left out, and ones that came back. Raises as ``deploy``, and
        :class:`NothingNew`.
        """
        with self._database.read() as tx:
            release = find_release(tx, project, version)
            had = {
                machine
                for deployment in tx.deployments.of_release(release.id)
                if deployment.environment == environment
                and deployment.state is DeploymentState.SUCCEEDED
                for machine in _served(tx.runs.of_deployment(deployment.id))
            }
            known = [
                str(d["name"])
                for d in tx.catalog.documents("machine")
                if environment in d["environments"]
            ]
        chosen = terms.selection
        missing = tuple(name for name in known if name not in had and chosen.takes(name))
        if not missing:
            raise NothingNew(f"every machine of {environment} has {project} {version}")
        terms = replace(terms, selection=replace(terms.selection, machines=missing))
        return self._deployments.deploy(project, version, environment, terms)


def _what_is_left(
    deployment: DeploymentRecord, runs: list[RunRecord], process: tuple[Step, ...]
) -> Selection:
    before = deployment.selection
    last = _last(runs)
    failed = {run.machine for run in last if run.machine and run.state in _BADLY}
    done = {
        (process[run.step].name, run.machine)
        for run in last
        if run.state is _WELL and run.machine not in failed
    }
    still = {(step, machine) for step, machine in before.done if machine not in failed}
    return replace(before, done=tuple(sorted({*still, *done})))


def _served(runs: list[RunRecord]) -> set[str]:
    """The machines on which all that was to run went well."""
    last = _last(runs)
    bad = {run.machine for run in last if run.state in _BADLY}
    return {run.machine for run in last if run.state is _WELL} - bad


def _last(runs: list[RunRecord]) -> list[RunRecord]:
    """The last attempts."""
    return list({(run.step, run.place): run for run in runs}.values())


def _begun(tx: Transaction, project: str, environment: str) -> list[DeploymentRecord]:
    """What has begun there, the latest first."""
    found = [(d.started_at, d) for d in tx.deployments.some(project, environment)]
    begun = [(began, d) for began, d in found if began is not None]
    return [d for _, d in sorted(begun, key=lambda each: (each[0], each[1].id), reverse=True)]
