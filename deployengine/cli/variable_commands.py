"""``variable resolve``: which value wins where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from deployengine.cli.names import NAME
from deployengine.cli.session import Session, command
from deployengine.domain.errors import UnknownName
from deployengine.domain.explanation import Candidate
from deployengine.domain.variables import MASK, key
from deployengine.engine.variable_lookup import BuiltFrom, VariableView


@click.group()
def variable() -> None:
    """Look at variables."""


@variable.command(
    "resolve",
    epilog="Example:  deployengine variable resolve app-001 --environment Staging --machine stg-2",
)
@click.argument("project", type=NAME)
@click.option("--environment", type=NAME)
@click.option("--machine", type=NAME)
@click.option("--step", type=NAME)
@click.option("--channel", type=NAME)
@click.option(
    "--name", "names", type=NAME, multiple=True, help="Only this variable; may be given again."
)
@click.option(
    "--explain",
    is_flag=True,
    help="Also show every other value, why it does not win, and what a value is built from.",
)
@command
def resolve(
    session: Session,
    project: str,
    environment: str | None,
    machine: str | None,
    step: str | None,
    channel: str | None,
    names: tuple[str, ...],
    explain: bool,
) -> None:
    """Show for each variable of PROJECT the value that wins in a place, and why.

    Sensitive values are shown as ********.
    """
    found = session.services.queries.variables(project, environment, machine, step, channel)
    found = _named(found, names, project)
    if explain:
        documents = [{**_document(each), **_explanation(each)} for each in found]
        session.answer(documents, lambda out: _explain(out, found))
    else:
        found = [each for each in found if each.winner]
        session.answer([_document(each) for each in found], lambda out: _list(out, found))


def _named(found: list[VariableView], names: Sequence[str], project: str) -> list[VariableView]:
    known = {key(each.name): each for each in found}
    for name in names:
        if key(name) not in known:
            raise UnknownName(f"variable of {project}", name, [each.name for each in found])
    return [known[key(name)] for name in names] if names else found


def _list(out: Console, found: Sequence[VariableView]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "value", "source", "why"):
        table.add_column(heading)
    for each in found:
        if each.winner:
            why = f"{each.winner.why}; {each.problem}" if each.problem else each.winner.why
            table.add_row(each.name, each.shown, each.winner.source, why)
    out.print(table, markup=False)


def _explain(out: Console, found: Sequence[VariableView]) -> None:
    """One block of lines for each variable, the winner first in it."""
    for each in found:
        out.print(f"{each.name}: {_shown(each.shown)}", markup=False)
        if each.problem:
            out.print(
                f"  as it is written, for it cannot be worked out: {each.problem}", markup=False
            )
        for candidate in each.candidates:
            verdict = "wins" if candidate.wins else "applies" if candidate.applies else "not here"
            scope = "" if candidate.wins else f", {candidate.variable.scope}"
            said = f"{_shown(_value(candidate))} in {candidate.source}{scope}"
            out.print(f"  {verdict:9} {said}: {candidate.why}", markup=False)
        for part in each.built_from:
            where = f" in {part.source}" if part.source else ""
            said = f"{' → '.join(part.path)} is {_shown(part.shown)}{where}"
            out.print(f"  {'from':9} {said}", markup=False)


def _shown(text: str | None) -> str:
    return "without a value here" if text is None else text if text == MASK else f'"{text}"'


def _value(candidate: Candidate) -> str:
    value = candidate.variable.value
    return MASK if candidate.variable.secret or not isinstance(value, str) else value


def _document(each: VariableView) -> dict[str, Any]:
    winner = each.winner
    return {
        "name": each.name,
        "value": each.shown,
        "source": winner.source if winner else None,
        "scope": winner.scope.to_document() if winner else {},
        "why": winner.why if winner else "no value applies",
        "sensitive": each.sensitive,
        "problem": each.problem,
    }


def _explanation(each: VariableView) -> dict[str, Any]:
    return {
        "candidates": [_candidate(candidate) for candidate in each.candidates],
        "built_from": [_built_from(part) for part in each.built_from],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "value": _value(candidate),
        "source": candidate.source,
        "scope": candidate.variable.scope.to_document(),
        "applies": candidate.applies,
        "wins": candidate.wins,
        "why": candidate.why,
    }


def _built_from(part: BuiltFrom) -> dict[str, Any]:
    return {"path": list(part.path), "value": part.shown, "source": part.source}
