"""Looking things up: one place for what commands show and nobody changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.errors import UnknownName
from deployengine.domain.identity import Kind, deployment_id, parse, run_id
from deployengine.domain.package import Package
from deployengine.domain.plan import ELSEWHERE, Plan
from deployengine.domain.planning import Unseal
from deployengine.domain.release import Snapshot
from deployengine.engine.batches import ReleaseProgress, release_progress
from deployengine.engine.deployments import find_deployment, find_release
from deployengine.engine.outlook import Outlook, outlook
from deployengine.engine.questions import Question
from deployengine.engine.variable_lookup import Place, VariableView, look_up
from deployengine.locks import MachineLocks, ResourceView
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord, RunRecord

#: So many events tell of the logs that went; some go once a day.
_RETENTIONS = 10_000


@dataclass(frozen=True, slots=True)
class DeploymentDetail:
    """A deployment with its runs and the names of its steps.

    ``runs_on`` has the machines that carry runs out for others, by the ids of the runs; the lock
    mode of such a run is that in which it claims this machine.
    """

    deployment: DeploymentRecord
    steps: tuple[str, ...]
    runs: tuple[RunRecord, ...]
    runs_on: Mapping[int, str] = field(default_factory=dict)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What its runs ask."""
        return tuple(
            Question(self.deployment, run, self.steps[run.step]) for run in self.runs if run.asks
        )


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
            runs = tx.runs.of_deployment(number)
            places = _carriers(tx, number, runs)
        runs = [replace(r, lock_mode=places[r.id][1]) if r.id in places else r for r in runs]
        elsewhere = (run for run in runs if run.id in places)
        names = {r.id: places[r.id][0] for r in elsewhere if places[r.id][0] != r.machine}
        return DeploymentDetail(deployment, steps, self.with_grants(runs), names)

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

    def inbox(self, who: str | None = None) -> list[Question]:
        """Everything that waits for a person, the oldest first; of ``who`` only what they may
        answer.
        """
        with self._database.read() as tx:
            asking = tx.questions.all_asking()
            found = {
                number: tx.deployments.get(number) for number in {r.deployment_id for r in asking}
            }
            deployments = {number: d for number, d in found.items() if d is not None}
            steps = {
                number: Snapshot(tx.releases.snapshot(d.snapshot_id)).process
                for number, d in deployments.items()
            }
        return [
            Question(deployments[run.deployment_id], run, step.name)
            for run in asking
            for step in [steps[run.deployment_id][run.step]]
            if who is None or not step.responsible or who in step.responsible
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
        """Deployments that match, the newest first.

        Raises :class:`UnknownName` for a project or environment that is not in the catalog and of
        which there is no deployment either.
        """
        with self._database.read() as tx:
            if project is not None:
                _check_known(tx, "project", project, tx.deployments.some(project, limit=1))
            if environment is not None:
                there = tx.deployments.some(environment=environment, limit=1)
                _check_known(tx, "environment", environment, there)
            return tx.deployments.some(project, environment, state, limit)

    def release(self, project: str, version: str) -> ReleaseProgress:
        """One release and its deployments; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            release = find_release(tx, project, version)
            return release_progress(release, tx.deployments.of_release(release.id))

    def packages(self, release: ReleaseRecord) -> list[Package]:
        """The packages that a release is made of."""
        with self._database.read() as tx:
            frozen = Snapshot(tx.releases.snapshot(release.snapshot_id))
        return list(frozen.packages.values())

    def releases(
        self, project: str | None = None, limit: int | None = None
    ) -> list[ReleaseProgress]:
        """Releases and their deployments, the newest first; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            found = tx.releases.some(project, limit)
            if project is not None:
                _check_known(tx, "project", project, found)
            of: dict[int, list[DeploymentRecord]] = {}
            for deployment in tx.deployments.of_releases([release.id for release in found]):
                of.setdefault(deployment.release_id, []).append(deployment)
        return [release_progress(release, of.get(release.id, [])) for release in found]

    def may_enter(self, release: ReleaseRecord) -> tuple[str, ...]:
        """Where the release may be deployed to that it has not succeeded in, by its lifecycle."""
        if release.blocked_at is not None:
            return ()
        with self._database.read() as tx:
            lifecycle = Snapshot(tx.releases.snapshot(release.snapshot_id)).lifecycle
            succeeded = tx.deployments.succeeded_environments(release.id)
        reached = (name for p in lifecycle.reached(succeeded) for name in p.environments)
        return tuple(name for name in reached if name not in succeeded)

    def outlook(self, now: datetime) -> Outlook:
        """The freezes and schedules of the catalog, as they come after this instant."""
        with self._database.read() as tx:
            return outlook(tx, now)

    def output(self, run: int, start: int = 0) -> list[tuple[int, str]]:
        """A run's output from byte ``start`` on: where each piece ends, and its text."""
        with self._database.read() as tx:
            return tx.outputs.pieces(run, start)

    def log_removed(self, deployment: int) -> bool:
        """Whether it is on record that retention has removed what its runs printed."""
        with self._database.read() as tx:
            found = tx.audit.latest(_RETENTIONS, ["retention"])
        name = deployment_id(deployment)
        return any(
            name in (entry.event.after or {}).get("logs", ()) for entry in found if entry.event
        )

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
                tx.catalog.check("machine", machine)
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
    ) -> list[VariableView]:
        """Each of the project's variables in a place, by name; raises as :func:`look_up`."""
        with self._database.read() as tx:
            place = Place(environment, machine, step, channel)
            return look_up(tx, self._unseal, project, place)


def _carriers(
    tx: Transaction, number: int, runs: Sequence[RunRecord]
) -> dict[int, tuple[str, str]]:
    """Of runs that have nothing of their own machine: who carries them out, and with what mode."""
    elsewhere = [run for run in runs if run.lock_mode == ELSEWHERE]
    if not elsewhere:
        return {}
    plan = Plan.from_document(tx.deployments.plan(number))
    planned = {run.id: plan.steps[run.step].runs[run.place] for run in elsewhere}
    return {n: (each.where.name, each.mode_on(each.where) or "none") for n, each in planned.items()}


def _check_known(tx: Transaction, kind: str, name: str, there: Sequence[object]) -> None:
    """Raises :class:`UnknownName` for what is not in the catalog, and nothing else is there of."""
    if not there:
        tx.catalog.check(kind, name)
