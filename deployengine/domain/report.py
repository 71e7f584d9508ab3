"""The report on a batch: how long it took, what waited for what, what failed, and what was slow.

All figures are seconds and come from the facts alone: where something has not happened yet, or
never did, it counts for nothing. A wait counts when it ended in what it was for; what was cancelled
while it waited is in the counts, not in the waits. Instants come from several hosts, whose clocks
differ a little, so no span is ever less than zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from deployengine.domain.bounds import Job, lower_bound
from deployengine.domain.deployment import DeploymentState, RunState, release_state
from deployengine.domain.plan import ELSEWHERE
from deployengine.domain.report_document import to_document
from deployengine.domain.report_facts import DeploymentFacts, RunFacts, span
from deployengine.domain.report_values import Counts, EnvironmentSummary, Failure, Report, Waits

__all__ = [
    "Counts",
    "DeploymentFacts",
    "EnvironmentSummary",
    "Failure",
    "Report",
    "RunFacts",
    "Waits",
    "report",
    "to_document",
]

#: How many of the longest runs are named.
SLOWEST = 10


def report(
    name: str,
    runs: Iterable[RunFacts],
    deployments: Iterable[DeploymentFacts],
    task_cap: int | None,
) -> Report:
    """The report on these runs and deployments, whether or not all of them have ended.

    The makespan goes from the first deployment's creation to the last end of anything. Raises
    ValueError for a task cap below 1, and KeyError for a run whose deployment is not given.
    """
    runs = tuple(runs)
    deployments = tuple(sorted(deployments, key=lambda d: d.created_at))
    of = {d.id: d for d in deployments}
    bound = lower_bound(_jobs(runs, of), task_cap)
    makespan = _makespan(runs, deployments)
    running = sum(run.running_seconds for run in runs)
    return Report(
        name=name,
        task_cap=task_cap,
        makespan_seconds=makespan,
        bound=bound,
        ratio=makespan / bound.seconds if bound and bound.seconds else None,
        waits=_waits(runs, deployments),
        running_seconds=running,
        utilisation=running / (task_cap * makespan) if task_cap and makespan else None,
        counts=_counts(runs, deployments),
        slowest=_slowest(runs),
        failures=tuple(_failures(runs, of)),
        environments=tuple(_environments(runs, deployments)),
        runs=runs,
        deployments=deployments,
    )


def _makespan(runs: Sequence[RunFacts], deployments: Sequence[DeploymentFacts]) -> float:
    instants = (*(run.finished_at for run in runs), *(each.finished_at for each in deployments))
    ends = [end for end in instants if end is not None]
    return span(deployments[0].created_at, max(ends)) if deployments and ends else 0.0


def _jobs(runs: Iterable[RunFacts], of: Mapping[str, DeploymentFacts]) -> Iterable[Job]:
    for run in runs:
        deployment = of[run.deployment]
        if run.started_at is None or run.finished_at is None:
            continue
        yield Job(
            release=(run.project, run.version),
            deployment=run.deployment,
            step=run.step,
            machine=run.machine,
            attempt=run.attempt,
            exclusive=run.lock_mode == "exclusive",
            created=deployment.created_at,
            ready=run.ready_at or run.started_at,
            started=run.started_at,
            finished=run.finished_at,
            closed=deployment.finished_at,
            elsewhere=run.lock_mode == ELSEWHERE,
        )


def _waits(runs: Iterable[RunFacts], deployments: Iterable[DeploymentFacts]) -> Waits:
    runs = tuple(runs)
    return Waits(
        machine_seconds=sum(run.machine_seconds for run in runs),
        tag_seconds=sum(deployment.tag_seconds for deployment in deployments),
        task_cap_seconds=sum(run.task_cap_seconds for run in runs),
    )


def _counts(runs: Iterable[RunFacts], deployments: Iterable[DeploymentFacts]) -> Counts:
    """A release's state is that of its latest deployments, one an environment."""
    latest: defaultdict[tuple[str, str], dict[str, DeploymentState]] = defaultdict(dict)
    for each in deployments:
        latest[each.project, each.version][each.environment] = each.state
    return Counts(
        releases=Counter(release_state(set(states.values())) for states in latest.values()),
        deployments=Counter(each.state for each in deployments),
        runs=Counter(run.state for run in runs),
    )


def _slowest(runs: Iterable[RunFacts]) -> tuple[RunFacts, ...]:
    ended = (run for run in runs if run.ran)
    return tuple(sorted(ended, key=lambda run: -run.running_seconds)[:SLOWEST])


def _failures(runs: Sequence[RunFacts], of: Mapping[str, DeploymentFacts]) -> Iterable[Failure]:
    good = {
        (run.deployment, run.step, run.machine) for run in runs if run.state is RunState.SUCCEEDED
    }
    told = set()
    for run in runs:
        if run.ended_badly:
            told.add(run.deployment)
            recovered = (run.deployment, run.step, run.machine) in good
            yield Failure(of[run.deployment], run, recovered)
    for each in of.values():
        if each.state is DeploymentState.FAILED and each.id not in told:
            yield Failure(each, None, False)


def _environments(
    runs: Sequence[RunFacts], deployments: Sequence[DeploymentFacts]
) -> Iterable[EnvironmentSummary]:
    """In the order in which the batch came to them."""
    here: defaultdict[str, list[RunFacts]] = defaultdict(list)
    for run in runs:
        here[run.environment].append(run)
    for environment in dict.fromkeys(d.environment for d in deployments):
        own = [d for d in deployments if d.environment == environment]
        ended = [run for run in here[environment] if run.ran]
        yield EnvironmentSummary(
            environment=environment,
            deployments=len(own),
            machines=len({run.machine for run in here[environment]}),
            runs=len(ended),
            failed=sum(run.ended_badly for run in here[environment]),
            running_seconds=sum(run.running_seconds for run in ended),
            waits=_waits(here[environment], own),
        )
