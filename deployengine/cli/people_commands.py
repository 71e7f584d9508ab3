"""``inbox``, ``approve``, ``guide``: what waits for a person, and the answers."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.documents import deployment_document, instant, run_document
from deployengine.cli.session import Session, command
from deployengine.domain.errors import RequestError
from deployengine.domain.identity import Kind, deployment_id, number_of, run_id
from deployengine.engine.questions import CHOICES, Answer, Asks, Question


@click.command("inbox", epilog="Example:  deployengine inbox")
@click.option("--all", "everybody", is_flag=True, help="Also what only others may answer.")
@command
def inbox(session: Session, everybody: bool) -> None:
    """List what waits for you: approvals, failures, and runs whose end nobody knows."""
    asked = session.services.queries.inbox(None if everybody else session.user)

    def show(out: Console) -> None:
        if not asked:
            out.print(_nothing_asked(session, everybody), markup=False)
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("run", "deployment", "asks for", "what", "why", "answer"):
            table.add_column(heading, no_wrap=heading in ("run", "deployment"))
        for each in asked:
            table.add_row(
                run_id(each.run.id),
                deployment_id(each.deployment.id),
                each.asks.value,
                escape(each.label),
                escape(each.run.message or ""),
                escape(each.command),
            )
        out.print(table)

    session.answer([question_document(each) for each in asked], show)


def _nothing_asked(session: Session, everybody: bool) -> str:
    if everybody:
        return "nothing waits for anybody"
    others = len(session.services.queries.inbox())
    more = f"; {others} wait for others (inbox --all)" if others else ""
    return f"nothing waits for you{more}"


@click.command("approve", epilog="Example:  deployengine approve dep-17 --note checked")
@click.argument("id_", metavar="ID")
@click.option("--abort", is_flag=True, help="Do not go on: the deployment fails.")
@click.option("--note", default="", help="Why; it is kept with the run.")
@click.option("--over-newer", is_flag=True, help="Although a newer release is there by now.")
@command
def approve(session: Session, id_: str, abort: bool, note: str, over_newer: bool) -> None:
    """Let a manual step proceed (or abort it), named by its run (run-N) or deployment (dep-N)."""
    number = _asking(session, id_, Asks.APPROVAL)
    answer = Answer.ABORT if abort else Answer.PROCEED
    give_answer(session, number, answer, note, over_newer=over_newer)


@click.command("guide", epilog="Example:  deployengine guide run-1044 retry")
@click.argument("id_", metavar="ID")
@click.argument("how", type=click.Choice([answer.value for answer in CHOICES[Asks.GUIDANCE]]))
@click.option("--note", default="", help="Why; it is kept with the run.")
@command
def guide(session: Session, id_: str, how: str, note: str) -> None:
    """Say what follows a failure: retry, ignore, exclude its machine, or fail.

    ID is the run (run-N) or, if only one of its runs asks, the deployment (dep-N).
    """
    give_answer(session, _asking(session, id_, Asks.GUIDANCE), Answer(how), note)


def give_answer(
    session: Session, number: int, answer: Answer, note: str, *, over_newer: bool = False
) -> None:
    """Gives an answer and tells what came of it."""
    services = session.services
    run = services.answers.answer(number, answer, session.user, note, over_newer=over_newer)
    detail = services.queries.deployment(run.deployment_id)

    def show(out: Console) -> None:
        d = detail.deployment
        again = answer in (Answer.RERUN, Answer.RETRY)
        follows = "runs again" if again else f"{answer} is taken, it is {run.state}"
        told = f"{run_id(run.id)}: {follows}; {deployment_id(d.id)}: {d.state}"
        others = ", ".join(run_id(each.run.id) for each in detail.questions)
        out.print(f"{told}, asked by {others}" if others else told, markup=False)

    session.answer(
        {
            "run": run_document(run, detail),
            "deployment": deployment_document(detail.deployment),
        },
        show,
    )


def question_document(asked: Question) -> dict[str, Any]:
    """A question as ``--json`` prints it."""
    return {
        "run": run_id(asked.run.id),
        "deployment": deployment_id(asked.deployment.id),
        "asks_for": asked.asks.value,
        "label": asked.label,
        "step": asked.step,
        "machine": asked.run.machine,
        "message": asked.run.message,
        "asked_at": instant(asked.run.asked_at),
        "answers": [answer.value for answer in CHOICES[asked.asks]],
        "command": asked.command,
    }


def _asking(session: Session, text: str, asks: Asks) -> int:
    """The run that is meant: by its own id, or as the only one of its deployment that asks so."""
    if not text.strip().lower().startswith(f"{Kind.DEPLOYMENT}-"):
        return number_of(text, Kind.RUN)
    detail = session.services.queries.deployment(number_of(text, Kind.DEPLOYMENT))
    asking = [each for each in detail.questions if each.asks is asks]
    if len(asking) == 1:
        return asking[0].run.id
    if not asking:
        raise RequestError(f"{text} asks for no {asks} now; its state is {detail.deployment.state}")
    names = ", ".join(run_id(each.run.id) for each in asking)
    raise RequestError(f"several runs of {text} ask for {asks}", None, f"name one of {names}")
