"""A deployment on the screen."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from deployengine.cli.questions import Questions, question_said
from deployengine.cli.session import Session
from deployengine.domain.identity import deployment_id, run_id
from deployengine.engine.patience import looks
from deployengine.engine.queries import DeploymentDetail

COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "unknown": "red",
    "cancelled": "yellow",
    "superseded": "yellow",
    "running": "cyan",
    "paused": "magenta",
    "granted": "blue",
    "waiting": "magenta",
}


def coloured(state: str) -> str:
    """The state in its colour, as rich markup."""
    colour = COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def follow(session: Session, number: int, timeout: float | None) -> DeploymentDetail:
    """Waits for a deployment's end, telling each change; raises ``GaveUpWaiting``."""
    told = None
    questions = Questions(session)
    queries = session.services.queries
    for detail in looks(lambda: queries.deployment(number), deployment_id(number), timeout):
        ended = sum(run.state.final for run in detail.runs)
        now = (detail.deployment.state, ended)
        if now != told:
            of = f"{ended} of {len(detail.runs)} runs ended"
            session.say(f"{deployment_id(number)} {now[0]}: {of}")
            told = now
        questions.tell([detail.deployment])
        if detail.deployment.state.final:
            return detail
    raise AssertionError("looks() never ends by itself")


def show_deployment(out: Console, detail: DeploymentDetail) -> None:
    """A deployment and its runs."""
    d = detail.deployment
    out.print(
        f"[bold]{deployment_id(d.id)}[/]  {d.project} {d.version} → {d.environment}: "
        f"{coloured(d.state)}"
    )
    if d.message:
        out.print(f"  {d.message}", markup=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "step", "machine", "attempt", "state", "exit", "lock", "waited", "ran"):
        table.add_column(heading, no_wrap=heading == "run")
    for run in detail.runs:
        table.add_row(
            run_id(run.id),
            detail.steps[run.step],
            run.machine,
            str(run.attempt),
            coloured(run.state),
            "" if run.exit_code is None else str(run.exit_code),
            run.lock_mode,
            _span(run.ready_at, run.started_at),
            _span(run.started_at, run.finished_at),
        )
    out.print(table)
    for asked in detail.questions:
        out.print(question_said(asked), markup=False)


def _span(begin: datetime | None, end: datetime | None) -> str:
    if begin is None or end is None:
        return ""
    return f"{max((end - begin).total_seconds(), 0):.1f} s"
