"""``calendar``: freezes that are in force or come next, and when each schedule comes next."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.deployment_view import remark
from deployengine.cli.documents import deployment_document, instant
from deployengine.cli.moments import shown
from deployengine.cli.session import Session, command
from deployengine.domain.identity import deployment_id
from deployengine.engine.freezes import Coming
from deployengine.engine.outlook import ComingSchedule, Outlook
from deployengine.persistence.records import DeploymentRecord


@click.command(epilog="Example:  deployengine calendar")
@command
def calendar(session: Session) -> None:
    """Show freezes that are in force or come next, and when each schedule comes next.

    Of a schedule also what the last deployment came to that it asked for.
    """
    found = session.services.queries.outlook(session.services.clock.now())
    session.answer(
        {
            "freezes": [_freeze_document(each) for each in found.freezes],
            "schedules": [_schedule_document(each) for each in found.schedules],
        },
        lambda out: _show(out, found),
    )


def _show(out: Console, found: Outlook) -> None:
    if not found.freezes and not found.schedules:
        out.print("no freeze is in force or to come, and there is no schedule", markup=False)
    if found.freezes:
        table = _table("freeze", "begins", "ends", "environments", "projects")
        for freeze in found.freezes:
            table.add_row(
                escape(freeze.name),
                shown(freeze.begins_at) if freeze.begins_at else "[red]is in force[/]",
                shown(freeze.ends_at),
                escape(", ".join(freeze.environments) or "all"),
                escape(", ".join(freeze.projects) or "all"),
            )
        out.print(table)
    if found.schedules:
        table = _table("schedule", "comes next", "deploys", "last time")
        for each in found.schedules:
            table.add_row(
                escape(each.name),
                shown(each.next_at),
                escape(f"{each.project} {each.release} → {each.environment}"),
                escape(_said(each.last)),
            )
        out.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table


def _said(last: DeploymentRecord | None) -> str:
    if last is None:
        return "nothing yet"
    note = f" ({said})" if (said := remark(last)) else ""
    return f"{deployment_id(last.id)} at {shown(last.created_at)}: {last.state}{note}"


def _freeze_document(freeze: Coming) -> dict[str, Any]:
    return {
        "name": freeze.name,
        "in_force": freeze.begins_at is None,
        "begins_at": instant(freeze.begins_at),
        "ends_at": instant(freeze.ends_at),
        "environments": list(freeze.environments),
        "projects": list(freeze.projects),
    }


def _schedule_document(schedule: ComingSchedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "project": schedule.project,
        "release": schedule.release,
        "environment": schedule.environment,
        "next_at": instant(schedule.next_at),
        "last": deployment_document(schedule.last) if schedule.last else None,
    }
