"""``why`` and ``locks``: who waits for what, and behind whom."""

from __future__ import annotations

from datetime import datetime

import click
from rich.console import Console

from deployengine.cli.documents import resource_document, wait_document
from deployengine.cli.moments import shown
from deployengine.cli.names import NAME
from deployengine.cli.session import Session, command
from deployengine.engine.waits import Wait
from deployengine.locks import ResourceView

#: Seconds for which nobody needs a calendar.
_SOON = 600


@click.command(epilog="Example:  deployengine why run-1044")
@click.argument("id_")
@command
def why(session: Session, id_: str) -> None:
    """Say why a release (rel-N), deployment (dep-N) or step run (run-N) is not running now."""
    waits = session.services.waits.why(id_)
    now = session.services.clock.now()

    def show(out: Console) -> None:
        for wait in waits:
            _show_wait(out, wait, now)
        if not waits:
            out.print(f"{id_.strip()} {session.services.waits.otherwise(id_)}", markup=False)

    session.answer([wait_document(w) for w in waits], show)


def _show_wait(out: Console, wait: Wait, now: datetime) -> None:
    place = "" if wait.position is None else f", place {wait.position} in the queue"
    out.print(f"{wait.run}  {wait.label}", style="bold", markup=False)
    out.print(f"  waits for {wait.waits_for} ({wait.reason}){place}", markup=False)
    for holder in wait.holders:
        out.print(
            f"  held {holder.mode} by {holder.id} ({holder.label}) for {_ago(holder.since, now)}",
            markup=False,
        )
    if wait.behind is not None and not wait.holders:
        first = wait.behind
        out.print(
            f"  behind {first.id} ({first.label}), which has waited for {_ago(first.since, now)}",
            markup=False,
        )
    if wait.expected_start is not None:
        out.print(f"  expected to start {_when(wait.expected_start, now)}", markup=False)


@click.command(epilog="Example:  deployengine locks prod-03")
@click.argument("machine", type=NAME, required=False)
@command
def locks(session: Session, machine: str | None) -> None:
    """Show who holds and who waits, for everything or for one MACHINE and what is on it."""
    views = session.services.queries.locks(machine)
    now = session.services.clock.now()

    def show(out: Console) -> None:
        for view in views:
            _show_resource(out, view, now)
        if not views:
            out.print("nobody holds or waits for anything", markup=False)

    session.answer([resource_document(view) for view in views], show)


def _show_resource(out: Console, view: ResourceView, now: datetime) -> None:
    out.print(view.resource, style="bold", markup=False)
    for holder in view.holders:
        out.print(
            f"  held {holder.mode} by {holder.id} for {_ago(holder.since, now)}: {holder.label}",
            markup=False,
        )
    for waiter in view.waiters:
        out.print(
            f"  {waiter.position}. {waiter.id} waits ({waiter.mode}) "
            f"for {_ago(waiter.since, now)}: {waiter.label}",
            markup=False,
        )


def _when(moment: datetime, now: datetime) -> str:
    """Soon: in how many seconds; later: at what time."""
    seconds = max((moment - now).total_seconds(), 0)
    return f"in about {seconds:.0f} s" if seconds < _SOON else f"at {shown(moment)}"


def _ago(since: datetime, now: datetime) -> str:
    return f"{max((now - since).total_seconds(), 0):.1f} s"
