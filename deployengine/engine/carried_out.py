"""Carried out: what machines have had of a release, what is left for them, and what it has set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.plan import Part, Plan
from deployengine.domain.project import Step
from deployengine.engine.archive import Archive
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


def carried_out(
    tx: Transaction,
    archive: Archive,
    deployments: Iterable[DeploymentRecord],
    before: Iterable[Part] = (),
) -> set[Part]:
    """What has gone well, by deployments of a release that have ended, the oldest first.

    Once something went wrong on a machine nothing before that counts there. What a success has
    skipped was not to run, unless somebody wanted it skipped.
    """
    well = set(before)
    for deployment in deployments:
        process = archive.snapshot(tx, deployment.snapshot_id).process
        runs = tx.runs.of_deployment(deployment.id)
        last = latest_attempts(runs)
        wrong = {run.machine for run in last if run.machine and _went_wrong(run)}
        # A turn that was broken off, as its machine went away in the middle of it.
        wrong |= {run.machine for run in last if run.left_out} & {
            run.machine for run in runs if run.started_at is not None
        }
        well |= {
            (process[run.step].name, run.machine)
            for run in last
            if _went_well(deployment, process[run.step], run)
        }
        well = {part for part in well if part[1] not in wrong}
    return well


def latest_attempts(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """The last attempt of each step on each machine; ``runs`` are in the order of their ids."""
    return list({(run.step, run.place): run for run in runs}.values())


def left_of(plan: Plan, process: Sequence[Step], well: set[Part]) -> set[Part]:
    """What of a plan has not been carried out; nobody misses a step for failures."""
    missed = {step.name for step in process if not step.for_failures}
    return {part for part in plan.parts if part[0] in missed} - well


def runs_with_outputs(
    tx: Transaction, deployment: DeploymentRecord, process: Sequence[Step], before_step: int
) -> list[RunRecord]:
    """The runs of steps before this one that have set outputs.

    Those of a retry, and those that it need not repeat of the deployments it carries on.
    """
    own = tx.runs.with_outputs([deployment.id], before_step)
    if not deployment.carries_on:
        return own
    done = set(deployment.selection.done)
    earlier = tx.runs.with_outputs(deployment.carries_on, before_step)
    return [run for run in earlier if (process[run.step].name, run.machine) in done] + own


def _went_well(deployment: DeploymentRecord, step: Step, run: RunRecord) -> bool:
    if run.state is RunState.SKIPPED:
        if run.left_out:
            return False
        succeeded = deployment.state is DeploymentState.SUCCEEDED
        return succeeded and not deployment.selection.skips(step)
    return run.state is RunState.SUCCEEDED


def _went_wrong(run: RunRecord) -> bool:
    """Not one that was cancelled before it began."""
    begun = run.started_at is not None
    bad = run.state in (RunState.FAILED, RunState.UNKNOWN)
    return bad or (run.state is RunState.CANCELLED and begun)
