"""Looking things up: one place for what commands show and nobody changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import Kind, parse, run_id
from deployengine.domain.insertion import Insertion, Plain, expand, plain_values
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.planning import Unseal
from deployengine.domain.project import Project
from deployengine.domain.variables import (
    MASK,
    Context,
    Resolved,
    Source,
    Variable,
    resolve_all,
    system_source,
    system_variables,
)
from deployengine.engine.batches import ReleaseProgress, release_progress
from deployengine.engine.deployments import find_deployment, find_release
from deployengine.engine.questions import Question
from deployengine.locks import MachineLocks, ResourceView
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


@dataclass(frozen=True, slots=True)
class DeploymentDetail:
    """A deployment with its runs and the names of its steps."""

    deployment: DeploymentRecord
    steps: tuple[str, ...]
    runs: tuple[RunRecord, ...]

    @property
    def questions(self) -> tuple[Question, ...]:
        """What its runs ask."""
        return tuple(
            Question(self.deployment, run, self.steps[run.step]) for run in self.runs if run.asks
        )


@dataclass(frozen=True, slots=True)
class ResolvedVariable:
    """The winning value of a variable, and what it comes to with its references inserted."""

    winner: Resolved
    insertion: Insertion

    @property
    def shown(self) -> str:
        """The value for people; a sensitive one, or one that is made from one, as ********."""
        return MASK if self.winner.sensitive or self.insertion.sensitive else self.insertion.text


class Queries:
    """Reads the database, and Redis for what only it knows: who has been granted."""

    def __init__(self, database: Database, locks: MachineLocks, unseal: Unseal) -> None:
        self._database = database
        self._locks = locks
        self._unseal = unseal

    def deployment(self, number: int) -> DeploymentDetail:
        """One deployment; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            deployment = find_deployment(tx, number)
            steps = tuple(step.name for step in tx.steps.of(number))
            runs = tuple(tx.runs.of_deployment(number))
        return DeploymentDetail(deployment, steps, self.with_grants(runs))

    def run(self, number: int) -> RunRecord:
        """One step run; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            run = tx.runs.get(number)
        if run is None:
            raise UnknownName("step run", run_id(number))
        return run

    def with_grants(self, runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
        """The runs, those that wait and have been granted shown as granted."""
        if not any(run.state is RunState.WAITING for run in runs):
            return tuple(runs)
        granted = {grant.request_id: grant.granted_at for grant in self._locks.grants()}
        return tuple(
            replace(run, state=RunState.GRANTED, granted_at=granted[run_id(run.id)])
            if run.state is RunState.WAITING and run_id(run.id) in granted
            else run
            for run in runs
        )

    def questions(self, deployments: Iterable[DeploymentRecord]) -> list[Question]:
        """What the runs of these deployments ask, the oldest first; costs nothing for none."""
        paused = {d.id: d for d in deployments if d.state is DeploymentState.PAUSED}
        if not paused:
            return []
        with self._database.read() as tx:
            asking = tx.questions.asking(list(paused))
            names = tx.steps.names(sorted({run.deployment_id for run in asking}))
        return [
            Question(paused[run.deployment_id], run, names[run.deployment_id][run.step])
            for run in asking
        ]

    def step_names(self, deployments: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """The names of the deployments' steps, in order."""
        with self._database.read() as tx:
            return tx.steps.names(list(deployments))

    def deployments(
        self,
        project: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        limit: int | None = None,
    ) -> list[DeploymentRecord]:
        """Deployments that match, the newest first."""
        with self._database.read() as tx:
            return tx.deployments.some(project, environment, state, limit)

    def release(self, project: str, version: str) -> ReleaseProgress:
        """One release and its deployments; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            release = find_release(tx, project, version)
            return release_progress(release, tx.deployments.of_release(release.id))

    def output(self, run: int, start: int = 0) -> list[tuple[int, str]]:
        """A run's output from byte ``start`` on: where each piece ends, and its text."""
        with self._database.read() as tx:
            return tx.outputs.pieces(run, start)

    def last_lines(self, run: int, lines: int) -> list[str]:
        """The last lines of a run's output."""
        with self._database.read() as tx:
            return tx.outputs.tail(run, lines)

    def locks(self, machine: str | None = None) -> list[ResourceView]:
        """Holders and waiters of everything, or of one machine and what is on it.

        Raises :class:`UnknownName` for a machine that is not in the catalog and not in use.
        """
        views = self._locks.holders_and_waiters()
        if machine is None:
            return views
        own = (f"machine:{machine}", f"resource:{machine}/")
        found = [v for v in views if v.resource == own[0] or v.resource.startswith(own[1])]
        if not found:
            with self._database.read() as tx:
                known = tx.catalog.names("machine")
            if machine not in known:
                raise UnknownName("machine", machine, known)
        return found

    def granted_runs(self) -> list[int]:
        """The numbers of all runs that hold their claims."""
        parsed = (parse(grant.request_id) for grant in self._locks.grants())
        return [number for kind, number in parsed if kind is Kind.RUN]

    def variables(
        self,
        project: str,
        environment: str | None = None,
        machine: str | None = None,
        step: str | None = None,
        channel: str | None = None,
    ) -> list[ResolvedVariable]:
        """The winning value of each of the project's variables in a place, by name.

        Raises :class:`UnknownName` for each part of the place that does not exist.
        """
        with self._database.read() as tx:
            found = _project(tx, project)
            target = _machine(tx, machine)
            known = tx.catalog.names("environment")
            if environment is not None and environment not in known:
                raise UnknownName("environment", environment, known)
            sets = tx.catalog.find("variable_set", found.include)
            lifecycle = _lifecycle(tx, found, channel)
        if target and environment and environment not in target.environments:
            raise RequestError(
                f"machine {machine} is not in {environment}",
                None,
                f"it is in {' and '.join(target.environments)}",
            )
        _check_known(f"step of {project}", step, [s.name for s in found.process])
        _check_known(f"channel of {project}", channel, found.channels)
        roles = target.roles if target else ()
        system = system_variables(
            project=project,
            environment=environment,
            machine=machine,
            roles=roles or None,
            step=step,
            channel=channel,
        )
        sources = [
            system_source(system),
            Source(f"project {project}", found.variables),
            *(_set_source(name, sets[name]["variables"]) for name in found.include),
        ]
        phase = lifecycle.phase_of(environment) if environment else None
        context = Context(
            environment, machine, roles, channel, step, phase=phase.name if phase else None
        )
        winners = resolve_all(sources, context)
        values = plain_values(winners, self._unseal)
        return [
            ResolvedVariable(winners[name], _inserted(name, values))
            for name in sorted(winners, key=lambda name: winners[name].name.casefold())
        ]


def _project(tx: Transaction, name: str) -> Project:
    document = tx.catalog.find("project", [name]).get(name)
    if document is None:
        raise UnknownName("project", name, tx.catalog.names("project"))
    return Project.from_document(document)


def _lifecycle(tx: Transaction, project: Project, channel: str | None) -> Lifecycle:
    """The lifecycle of the channel, or the project's own."""
    name = project.channels.get(channel or "", project.lifecycle)
    document = tx.catalog.find("lifecycle", [name])[name]
    return Lifecycle.from_document(document).filled(tx.catalog.names("environment"))


def _inserted(name: str, values: Mapping[str, Plain]) -> Insertion:
    """The value with its references inserted, or as it is where one of them has no value here."""
    try:
        return expand(name, values)
    except RequestError:
        return Insertion(values[name].text, values[name].sensitive)


def _machine(tx: Transaction, name: str | None) -> Machine | None:
    if name is None:
        return None
    document = tx.catalog.find("machine", [name]).get(name)
    if document is None:
        raise UnknownName("machine", name, tx.catalog.names("machine"))
    return Machine.from_document(document)


def _set_source(name: str, variables: Sequence[dict[str, object]]) -> Source:
    return Source(f"variable set {name}", tuple(Variable.from_document(v) for v in variables))


def _check_known(kind: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        raise UnknownName(kind, name, known)
