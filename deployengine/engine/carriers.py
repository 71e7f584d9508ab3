"""Carriers: machines that are to carry something out for other ones (``runs_on``)."""

from __future__ import annotations

from collections.abc import Iterator

from deployengine.engine.archive import Archive
from deployengine.persistence import Transaction


def carriers(tx: Transaction, archive: Archive) -> Iterator[tuple[str, int]]:
    """A carrier and the deployment, once for each run that is to come, waits or is at work."""
    for deployment in tx.deployments.open():
        process = archive.snapshot(tx, deployment.snapshot_id).process
        steps = [position for position, step in enumerate(process) if step.runs_on]
        if not steps:
            continue
        plan = archive.plan(tx, deployment.id)
        for run in tx.lanes.of(deployment.id, steps):
            other = plan.steps[run.step].runs[run.place].runs_on
            if other is not None and not run.state.final:
                yield other.name, deployment.id
