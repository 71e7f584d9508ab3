"""``retention``: remove what lifecycles do not keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from deployengine.cli.session import Session, command
from deployengine.domain.identity import deployment_id, release_id
from deployengine.engine.retention import Due, Removed
from deployengine.persistence.records import Trace

#: Releases between two signs of progress.
_STRIDE = 100


@click.group()
def retention() -> None:
    """Remove releases and logs that no phase of a lifecycle keeps."""


@retention.command("apply", epilog="Example:  deployengine retention apply --dry-run")
@click.option("--dry-run", is_flag=True, help="List what would go and remove nothing.")
@command
def apply(session: Session, dry_run: bool) -> None:
    """Remove what goes by `keep_releases` of the lifecycles' phases; housekeeping does so daily.

    What is current in an environment, what was there before it, and what is under way always
    stays. Interrupted, say it again.
    """
    services = session.services
    due = services.retention.due()
    removed = None
    if not dry_run:
        progress = _progress(session, len(due.releases))
        removed = services.retention.apply(due, session.user, progress)
    document = {
        "applied": not dry_run,
        "releases": [
            {
                "id": release_id(each.release),
                "project": each.project,
                "version": each.version,
                "deployments": [_trace(trace) for trace in each.deployments],
            }
            for each in due.releases
        ],
        "logs": [
            {"project": trace.project, "version": trace.version, **_trace(trace)}
            for trace in due.logs
        ],
        "removed": removed and _counts(removed),
    }
    session.answer(document, lambda out: _show(out, due, removed))


def _trace(trace: Trace) -> dict[str, Any]:
    return {"id": deployment_id(trace.id), "environment": trace.environment}


def _counts(removed: Removed) -> dict[str, int]:
    return {
        "releases": removed.releases,
        "deployments": removed.deployments,
        "step_runs": removed.runs,
        "logs": removed.logs,
    }


def _progress(session: Session, total: int) -> Callable[[Removed], None]:
    told = 0

    def tell(removed: Removed) -> None:
        nonlocal told
        if removed.releases >= told + _STRIDE:
            told = removed.releases
            session.say(f"{told} of {total} releases are gone")

    return tell


def _show(out: Console, due: Due, removed: Removed | None) -> None:
    for each in due.releases:
        where = ", ".join(f"{deployment_id(t.id)} → {t.environment}" for t in each.deployments)
        out.print(f"release {each.project} {each.version}: {where}", markup=False)
    for trace in due.logs:
        name = f"{trace.project} {trace.version} → {trace.environment}"
        out.print(f"logs of {deployment_id(trace.id)}: {name}", markup=False)
    if not due.ruled:
        out.print("all is kept: no phase of a lifecycle says keep_releases", markup=False)
    elif removed is None:
        out.print("dry run: nothing was removed", markup=False)
    else:
        gone = f"{removed.releases} releases, {removed.deployments} deployments"
        runs = f"{removed.runs} step runs, logs of {removed.logs} deployments more"
        out.print(f"removed: {gone}, {runs}", markup=False)
