"""What the report of a batch is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.report import DeploymentFacts, Report, RunFacts, report
from deployengine.engine.batches import BatchProgress
from deployengine.engine.queries import Queries
from deployengine.persistence.records import DeploymentRecord, RunRecord

#: Lines of a failed run's output that a report shows.
LAST_LINES = 10


def of_itself(progress: BatchProgress) -> BatchProgress:
    """The batch without what people asked for once all that followed by itself had ended.

    That may be weeks later, and is no part of what the batch took, unless it makes good what had
    not succeeded. A batch of which nothing followed by itself is all that people asked for.
    """
    ends = [d.finished_at for r in progress.releases for d in r.deployments if d.automatic]
    closed = [end for end in ends if end is not None]
    if not ends or len(closed) < len(ends):
        return progress
    end = max(closed)
    releases = tuple(
        replace(release, deployments=tuple(_own(release.deployments, end)))
        for release in progress.releases
    )
    own = {d.id for release in releases for d in release.deployments}
    runs = tuple(run for run in progress.runs if run.deployment_id in own)
    return replace(progress, releases=releases, runs=runs)


def _own(deployments: Iterable[DeploymentRecord], end: datetime) -> Iterator[DeploymentRecord]:
    """Those of one release, the oldest first, that belong to a batch that came to rest then."""
    unwell: dict[str, bool] = {}
    for d in deployments:
        if d.automatic or d.created_at <= end or unwell.get(d.environment, False):
            unwell[d.environment] = d.state is not DeploymentState.SUCCEEDED
            yield d


def batch_report(progress: BatchProgress, queries: Queries, task_cap: int | None) -> Report:
    """The report of a batch that was read with its runs; ``task_cap`` as it was then."""
    deployments = {d.id: d for release in progress.releases for d in release.deployments}
    names = queries.step_names(deployments)
    runs = [
        _run_facts(run, deployments[run.deployment_id], names, queries) for run in progress.runs
    ]
    facts = [_deployment_facts(d) for d in deployments.values()]
    return report(progress.batch.name, runs, facts, task_cap)


def _run_facts(
    run: RunRecord,
    deployment: DeploymentRecord,
    names: Mapping[int, tuple[str, ...]],
    queries: Queries,
) -> RunFacts:
    bad = run.state in (RunState.FAILED, RunState.UNKNOWN) and not run.asks
    return RunFacts(
        run=run_id(run.id),
        deployment=deployment_id(deployment.id),
        project=deployment.project,
        version=deployment.version,
        environment=deployment.environment,
        step=names[deployment.id][run.step],
        machine=run.machine,
        attempt=run.attempt,
        state=run.state,
        lock_mode=run.lock_mode,
        ready_at=run.ready_at,
        granted_at=run.granted_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        exit_code=run.exit_code,
        message=run.message,
        asks=run.asks,
        last_lines=tuple(queries.last_lines(run.id, LAST_LINES)) if bad else (),
    )


def _deployment_facts(deployment: DeploymentRecord) -> DeploymentFacts:
    return DeploymentFacts(
        id=deployment_id(deployment.id),
        project=deployment.project,
        version=deployment.version,
        environment=deployment.environment,
        state=deployment.state,
        created_at=deployment.created_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        message=deployment.message,
    )
