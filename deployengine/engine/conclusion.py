"""Conclusion: whether a deployment has gone well, and what is told of its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployengine.domain.counted import counted
from deployengine.domain.deployment import RunState
from deployengine.domain.plan import Plan
from deployengine.domain.project import ALWAYS, SUCCESS, Hook, Step
from deployengine.domain.selection import Selection
from deployengine.domain.turns import stopped
from deployengine.engine.archive import Archive
from deployengine.engine.carried_out import latest_attempts
from deployengine.engine.lanes import Lanes
from deployengine.persistence import Transaction
from deployengine.persistence.records import (
    IGNORED,
    DeploymentRecord,
    RunRecord,
)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether all went well that was to; where it went wrong, or what a success does not hold for.

    A step or group of which every machine was left out was carried out nowhere: that is no success.
    """

    well: bool
    told: Sequence[str]


def conclude(tx: Transaction, deployment: DeploymentRecord, archive: Archive) -> Conclusion:
    """What a deployment has come to, all of whose steps are done."""
    runs = tx.runs.of_deployment(deployment.id)
    left_out = [*deployment.without, *(run.machine for run in runs if run.left_out)]
    plan = archive.plan(tx, deployment.id)
    process = archive.snapshot(tx, deployment.snapshot_id).process
    nowhere = list(_nowhere(plan, process, deployment.selection, runs))
    if nowhere or tx.runs.any_unsuccessful(deployment.id):
        latest = latest_attempts(runs)
        told = [*_went_wrong(latest, nowhere), *_too_many_failures(plan, process, latest)]
        return Conclusion(False, told)
    told = [f"without {_some(left_out)}"] if left_out else []
    if ignored := [run.machine for run in runs if run.answer == IGNORED]:
        told.append(f"a failure was ignored on {_some(ignored)}")
    return Conclusion(True, told)


def cancelled(tx: Transaction, deployment: DeploymentRecord, archive: Archive) -> str:
    """What is told of one that was cancelled: which machines it left in the middle of a turn."""
    process = archive.snapshot(tx, deployment.snapshot_id).process
    runs = tx.runs.of_deployment(deployment.id)
    begun = {(process[run.step].unit.name, run.machine) for run in runs if run.started_at}
    left = {
        run.machine: process[run.step].name
        for run in latest_attempts(runs)
        if process[run.step].hook is Hook.AFTER
        and run.state is not RunState.SUCCEEDED
        and (process[run.step].unit.name, run.machine) in begun
    }
    steps = " and ".join(dict.fromkeys(left.values()))
    return f"cancelled; {steps} did not run for {_some(list(left))}" if left else "cancelled"


def _nowhere(
    plan: Plan, process: Sequence[Step], selection: Selection, runs: Sequence[RunRecord]
) -> Iterator[str]:
    """The steps and groups that every machine of theirs was left out of.

    Only of those that were certain to run: not for failures, nor by an expression.
    """
    lost = {(run.step, run.machine) for run in runs if run.left_out}
    for track in (track for stage in plan.stages for track in stage.tracks):
        unit = process[track.positions[0]].unit
        steps = [plan.steps[position] for position in track.positions]
        machines = {run.machine.name for step in steps if not step.left_out for run in step.runs}
        names = {step.name for step in steps}
        machines |= {machine for name, machine in selection.done if name in names}
        without = {machine for step, machine in lost if step in track.positions}
        if unit.condition in (SUCCESS, ALWAYS) and machines and machines <= without:
            yield unit.name


def _went_wrong(runs: Sequence[RunRecord], nowhere: Sequence[str]) -> Iterator[str]:
    """Where, by the last attempt on each machine."""
    last = [run for run in runs if not run.forgiven]
    failed = [run for run in last if run.state is RunState.FAILED]
    yield from (f"aborted: {run.message}" for run in failed if not run.machine)
    if machines := [run.machine for run in failed if run.machine]:
        yield f"a step failed on {_some(machines)}"
    if machines := [run.machine for run in last if run.state is RunState.CANCELLED]:
        yield f"a step was cancelled on {_some(machines)}"
    if nowhere:
        yield f"every machine of {' and '.join(nowhere)} was left out"
    if machines := [run.machine for run in last if run.state is RunState.UNKNOWN]:
        yield f"nobody knows how a step ended on {_some(machines)}"


def _too_many_failures(
    plan: Plan, process: Sequence[Step], runs: Sequence[RunRecord]
) -> Iterator[str]:
    """The groups that stopped, as more of their machines failed than may."""
    for track in (track for stage in plan.stages for track in stage.tracks):
        lanes = Lanes((run for run in runs if run.step in track.positions), process)
        if track.max_failures is not None and stopped(lanes.turns.values(), track.max_failures):
            many = counted(track.max_failures, "machine")
            group = process[track.positions[0]].unit.name
            yield f"more than {many} failed in {group}"


def _some(machines: Sequence[str]) -> str:
    machines = list(dict.fromkeys(machines))
    more = f" and {len(machines) - 5} more" if len(machines) > 5 else ""
    return f"{', '.join(machines[:5])}{more}"
