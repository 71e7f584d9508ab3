"""``deployment``: list, show, log, cancel, retry, order, answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.deployment_options import (
    terms_of,
    terms_options,
    told,
)
from deployengine.cli.deployment_view import cancel_said, coloured, remark, show_deployment
from deployengine.cli.documents import deployment_document, detail_document, run_document
from deployengine.cli.names import NAME
from deployengine.cli.people_commands import give_answer
from deployengine.cli.session import LIMIT, Session, command
from deployengine.cli.waiting import waiting_options
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import check_known
from deployengine.domain.identity import Kind, deployment_id, number_of, run_id
from deployengine.engine.patience import looks
from deployengine.engine.queries import DeploymentDetail
from deployengine.engine.questions import CHOICES, Answer, Asks
from deployengine.engine.requests import on_machine


@click.group()
def deployment() -> None:
    """Look at deployments, cancel them, and answer what their runs ask."""


@deployment.command("list", epilog="Example:  deployengine deployment list --state running")
@click.option("--project", type=NAME, help="Only of this project.")
@click.option("--environment", type=NAME, help="Only to this environment.")
@click.option("--state", type=click.Choice([s.value for s in DeploymentState]))
@click.option("--limit", type=LIMIT, help="At most so many, the newest first.")
@command
def list_deployments(
    session: Session,
    project: str | None,
    environment: str | None,
    state: str | None,
    limit: int | None,
) -> None:
    """List deployments, the newest first."""
    found = session.services.queries.deployments(project, environment, state, limit)

    def show(out: Console) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("id", "project", "version", "environment", "state", "message"):
            table.add_column(heading, no_wrap=heading == "id")
        for d in found:
            table.add_row(
                deployment_id(d.id),
                d.project,
                d.version,
                d.environment,
                coloured(d.state),
                escape(remark(d)),
            )
        out.print(table)

    session.answer([deployment_document(d) for d in found], show)


@deployment.command("show", epilog="Example:  deployengine deployment show dep-17")
@click.argument("id_")
@command
def show(session: Session, id_: str) -> None:
    """Show a deployment and its step runs."""
    detail = session.services.queries.deployment(number_of(id_, Kind.DEPLOYMENT))
    session.answer(detail_document(detail), lambda out: show_deployment(out, detail))


@deployment.command("log", epilog="Example:  deployengine deployment log dep-17 --machine prod-03")
@click.argument("id_")
@click.option("--machine", type=NAME, help="Only of this machine.")
@click.option("--step", type=NAME, help="Only of this step.")
@click.option("--follow", is_flag=True, help="Go on until the deployment ends.")
@command
def log(session: Session, id_: str, machine: str | None, step: str | None, follow: bool) -> None:
    """Print what the scripts of a deployment (dep-N) or of one step run (run-N) printed."""
    queries = session.services.queries
    number, only = _deployment_of(session, id_)
    detail = _chosen(queries.deployment(number), machine, step, only)
    if session.as_json:
        texts = [
            {
                **run_document(run, detail),
                "output": "".join(text for _, text in queries.output(run.id)),
            }
            for run in detail.runs
        ]
        document = {
            "id": deployment_id(number),
            "removed": queries.log_removed(number),
            "step_runs": texts,
        }
        session.answer(document, lambda _: None)
        return
    printer = _Printer(session)
    for seen in looks(lambda: queries.deployment(number), deployment_id(number)):
        printer.print(_chosen(seen, machine, step, only))
        if seen.deployment.state.final or not follow:
            break
    if not printer.has_printed:
        gone = queries.log_removed(number)
        said = "retention has removed the log" if gone else "nothing was printed"
        session.say(f"{id_.strip()}: {said}")


@deployment.command("cancel", epilog="Example:  deployengine deployment cancel dep-17")
@click.argument("id_")
@command
def cancel(session: Session, id_: str) -> None:
    """Cancel a deployment (dep-N) or one of its step runs (run-N).

    What waits ends at once, what runs as soon as its scripts have ended.
    """
    if id_.strip().lower().startswith(f"{Kind.RUN}-"):
        run = session.services.deployments.cancel_run(number_of(id_, Kind.RUN), session.user)
        detail = session.services.queries.deployment(run.deployment_id)
        ending = "" if run.state.final else ", its script is being ended"
        session.answer(
            run_document(run, detail),
            lambda out: out.print(f"{run_id(run.id)}: {run.state}{ending}", markup=False),
        )
        return
    number = number_of(id_, Kind.DEPLOYMENT)
    before = session.services.queries.deployment(number).deployment
    after = session.services.deployments.cancel(number, session.user)
    ended = f"had ended before: {before.state}"
    said = ended if before.state.final else cancel_said(session, after)
    session.answer(
        {**deployment_document(after), "cancel_requested": not before.state.final},
        lambda out: out.print(f"{deployment_id(number)}: {said}", markup=False),
    )


@deployment.command("retry", epilog="Example:  deployengine deployment retry dep-17 --wait")
@click.argument("id_")
@terms_options
@waiting_options()
@command
def retry(session: Session, /, id_: str, wait: bool, timeout: float | None, **given: Any) -> int:
    """Deploy again what a deployment did not bring to its end.

    Machines on which something failed go through all of it again; on the others runs what they
    have not had.
    """
    terms = terms_of(session, **given)
    deployment = session.services.again.retry(number_of(id_, Kind.DEPLOYMENT), terms)
    return told(session, deployment, wait, timeout)


@deployment.command("top", epilog="Example:  deployengine deployment top dep-17")
@click.argument("id_")
@command
def top(session: Session, id_: str) -> None:
    """Put what waits of a deployment before everything else that waits."""
    moved = session.services.order.move_to_top(number_of(id_, Kind.DEPLOYMENT), session.user)
    session.answer(
        deployment_document(moved),
        lambda out: out.print(f"{deployment_id(moved.id)}: at the top", markup=False),
    )


@deployment.command("prioritise", epilog="Example:  deployengine deployment prioritise dep-17 2")
@click.argument("id_")
@click.argument("priority", type=int)
@command
def prioritise(session: Session, id_: str, priority: int) -> None:
    """Give a deployment another priority, from -5 to 5; 0 is that of any other."""
    moved = session.services.order.prioritise(
        number_of(id_, Kind.DEPLOYMENT), priority, session.user
    )
    session.answer(
        deployment_document(moved),
        lambda out: out.print(f"{deployment_id(moved.id)}: priority {priority}", markup=False),
    )


@deployment.command(
    "answer",
    epilog="Example:  deployengine deployment answer run-1044 succeeded --note checked",
)
@click.argument("id_")
@click.argument("how", type=click.Choice([answer.value for answer in CHOICES[Asks.END]]))
@click.option("--note", default="", help="Why; it is kept with the run.")
@command
def answer(session: Session, id_: str, how: str, note: str) -> None:
    """Say how a step run (run-N) ended that asks, as nobody recorded its end.

    A deployment is paused while a run of it asks. Say that it has succeeded or failed, as you see
    it on the machine, or have its script run once more.
    """
    give_answer(session, number_of(id_, Kind.RUN), Answer(how), note)


def _deployment_of(session: Session, text: str) -> tuple[int, int | None]:
    """The deployment that an id names, and the only run of it that is meant."""
    if not text.strip().lower().startswith(f"{Kind.RUN}-"):
        return number_of(text, Kind.DEPLOYMENT), None
    number = number_of(text, Kind.RUN)
    run = session.services.queries.run(number)
    return run.deployment_id, number


def _chosen(
    detail: DeploymentDetail, machine: str | None, step: str | None, run: int | None
) -> DeploymentDetail:
    """The detail with those runs only that are asked for; raises ``UnknownName``."""
    name = deployment_id(detail.deployment.id)
    if machine is not None:
        check_known(f"machine of {name}", machine, {r.machine for r in detail.runs})
    if step is not None:
        check_known(f"step of {name}", step, detail.steps)
    runs = tuple(
        r
        for r in detail.runs
        if machine in (None, r.machine)
        and step in (None, detail.steps[r.step])
        and run in (None, r.id)
    )
    return replace(detail, runs=runs)


class _Printer:
    """Prints what is new, with a heading whenever it comes from another run."""

    def __init__(self, session: Session) -> None:
        self._queries = session.services.queries
        self._out = session.out
        self._read: dict[int, int] = {}
        self._last: int | None = None
        self._open_line = False

    @property
    def has_printed(self) -> bool:
        """Whether there was anything so far."""
        return self._last is not None

    def print(self, detail: DeploymentDetail) -> None:
        """Prints what the runs have printed since the last call."""
        for run in detail.runs:
            for stop, text in self._queries.output(run.id, self._read.get(run.id, 0)):
                if run.id != self._last:
                    step = detail.steps[run.step]
                    place = on_machine(run, detail.runs_on.get(run.id))
                    heading = f"── {run_id(run.id)} {step}{place}, attempt {run.attempt}"
                    if self._open_line:
                        self._out.print()
                    self._out.print(heading, style="dim", markup=False)
                    self._last = run.id
                self._out.out(text, highlight=False, end="")
                self._open_line = not text.endswith("\n")
                self._read[run.id] = stop
