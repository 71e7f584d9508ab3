"""``variable resolve``: which value wins where, and why."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from deployengine.cli.session import Session, command
from deployengine.engine.queries import ResolvedVariable


@click.group()
def variable() -> None:
    """Look at variables."""


@variable.command(
    "resolve",
    epilog="Example:  deployengine variable resolve app-001 --environment Staging --machine stg-2",
)
@click.argument("project")
@click.option("--environment")
@click.option("--machine")
@click.option("--step")
@click.option("--channel")
@command
def resolve(
    session: Session,
    project: str,
    environment: str | None,
    machine: str | None,
    step: str | None,
    channel: str | None,
) -> None:
    """Show for each variable of PROJECT the value that wins in a place, and why.

    Sensitive values are shown as ********.
    """
    found = session.services.queries.variables(project, environment, machine, step, channel)

    def show(out: Console) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("name", "value", "source", "why"):
            table.add_column(heading)
        for each in found:
            winner = each.winner
            table.add_row(winner.name, each.shown, winner.source, winner.why)
        out.print(table, markup=False)

    session.answer([_document(each) for each in found], show)


def _document(each: ResolvedVariable) -> dict[str, object]:
    winner = each.winner
    return {
        "name": winner.name,
        "value": each.shown,
        "source": winner.source,
        "scope": winner.scope.to_document(),
        "why": winner.why,
        "sensitive": winner.sensitive or each.insertion.sensitive,
    }
