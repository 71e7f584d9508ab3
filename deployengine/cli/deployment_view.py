"""A deployment on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.moments import shown
from deployengine.cli.questions import Questions, question_said
from deployengine.cli.session import Session
from deployengine.domain.counted import counted
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.identity import deployment_id, run_id
from deployengine.engine.patience import looks
from deployengine.engine.queries import DeploymentDetail
from deployengine.persistence.records import DeploymentRecord, RunRecord

#: So many machines are told by name.
MANY = 5

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


def remark(deployment: DeploymentRecord) -> str:
    """What is told beside the state: the message, or which time it waits for."""
    d = deployment
    if d.message or d.state.final:
        return d.message or ""
    if d.cancel_requested_at is not None:
        return "is being cancelled"
    if d.frozen_by:
        return f"frozen by {d.frozen_by}"
    if d.state is DeploymentState.QUEUED and d.ticket is None and d.not_before is not None:
        return f"scheduled for {shown(d.not_before)}"
    return ""


def without(deployment: DeploymentRecord) -> str:
    """Which machines it was planned without, and why."""
    told = [f"{name} ({mode})" for name, mode in deployment.without.items()]
    more = f" and {len(told) - MANY} more" if len(told) > MANY else ""
    return f"without {', '.join(told[:MANY])}{more}"


def cancel_said(session: Session, deployment: DeploymentRecord) -> str:
    """What has come of a cancel so far."""
    if deployment.state.final:
        return deployment.state
    runs = session.services.queries.deployment(deployment.id).runs
    return still_ending(sum(run.state is RunState.RUNNING for run in runs), "script")


def still_ending(many: int, what: str) -> str:
    """How it is with something that was cancelled and has so many things that end yet."""
    if not many:
        return "being cancelled"
    return f"being cancelled, {counted(many, what)} {'is' if many == 1 else 'are'} still ending"


def show_deployment(out: Console, detail: DeploymentDetail) -> None:
    """A deployment and its runs."""
    d = detail.deployment
    out.print(
        f"[bold]{deployment_id(d.id)}[/]  {escape(f'{d.project} {d.version} → {d.environment}')}: "
        f"{coloured(d.state)}"
    )
    for line in (remark(d), *_terms(d)):
        if line:
            out.print(f"  {line}", markup=False)
    table = Table(box=None, pad_edge=False)
    headings = ("run", "step", "machine", "attempt", "state", "exit", "lock", "waited", "ran")
    for heading in (*headings, "message"):
        table.add_column(heading, no_wrap=heading == "run")
    for run in detail.runs:
        table.add_row(
            run_id(run.id),
            escape(detail.steps[run.step]),
            _machine(run, detail.runs_on.get(run.id)),
            str(run.attempt),
            coloured(run.state),
            "" if run.exit_code is None else str(run.exit_code),
            run.lock_mode if run.machine else "",  # a manual step holds nothing
            _span(run.ready_at, run.started_at),
            _span(run.started_at, run.finished_at),
            escape(run.message or ""),
        )
    out.print(table)
    for asked in detail.questions:
        out.print(question_said(asked), markup=False)


def _machine(run: RunRecord, runs_on: str | None) -> str:
    return f"{run.machine} (on {runs_on})" if runs_on else run.machine


def _terms(d: DeploymentRecord) -> Iterator[str]:
    """Who asked for it, and on which terms."""
    who = d.requested_by or ("its lifecycle" if d.automatic else "somebody")
    yield f"asked for by {who} at {shown(d.created_at)}"
    if d.not_before is not None:
        yield f"not before {shown(d.not_before)}"
    if d.expires_at is not None:
        yield f"not to begin after {shown(d.expires_at)}"
    if d.overrides_freezes:
        yield f"overrides freezes: {(d.options or {})['override_freeze']}"
    if d.catches_up:
        yield "for machines that were left out before"
    if d.without:
        yield without(d)
    if d.priority:
        yield f"priority {d.priority}"
    if d.guided:
        yield "a failure asks a person what follows"


def _span(begin: datetime | None, end: datetime | None) -> str:
    if begin is None or end is None:
        return ""
    return f"{max((end - begin).total_seconds(), 0):.1f} s"
