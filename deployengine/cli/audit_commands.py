"""``audit``: who changed what, and whether anybody has touched what is on record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.documents import instant
from deployengine.cli.moments import Since, moved
from deployengine.cli.session import LIMIT, Session, command
from deployengine.domain.audit import Action, Break, Entry, Verdict

#: Events between two signs of progress.
_STRIDE = 10_000

_NUMBER = re.compile(r"[0-9]{1,18}")
_HASH = re.compile(r"[0-9a-f]{64}")


@click.group()
def audit() -> None:
    """Look at who changed what, and check that nobody has touched what is on record."""


@audit.command("list", epilog="Example:  deployengine audit list --subject dep-17")
@click.option(
    "--subject",
    help="Only about this: dep-17 (and its runs), run-1044, rel-3, 'batch nightly', "
    "'machine prod-05', catalog.",
)
@click.option("--who", help="Only what this person did.")
@click.option("--action", type=click.Choice([action.value for action in Action]))
@click.option("--since", type=Since(), help="Only since then: 2026-12-01T18:00 (local) or 24h.")
@click.option("--limit", type=LIMIT, default=100, show_default=True, help="At most so many.")
@command
def list_events(
    session: Session,
    subject: str | None,
    who: str | None,
    action: str | None,
    since: datetime | timedelta | None,
    limit: int,
) -> None:
    """List what was changed, the latest first."""
    if isinstance(since, timedelta):
        since = moved(session.services.clock.now(), -since)
    found = session.services.audit_trail.latest(
        limit, subject=subject, who=who, action=Action(action) if action else None, since=since
    )

    def show(out: Console) -> None:
        if not found:
            out.print("nothing is on record of that", markup=False)
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("id", "at", "who", "action", "subject", "reason"):
            table.add_column(heading, no_wrap=heading in ("id", "at"))
        for entry in found:
            table.add_row(*map(escape, _row(entry)))
        out.print(table)

    session.answer([entry_document(entry) for entry in found], show)


@audit.command("show", epilog="Example:  deployengine audit show 17")
@click.argument("id_", metavar="ID")
@command
def show_event(session: Session, id_: str) -> None:
    """Show all of one event: what was there before, and what after."""
    if not _NUMBER.fullmatch(id_.strip()):
        raise click.BadParameter(f"{id_!r} is no event's number: audit list shows them")
    entry = session.services.audit_trail.get(int(id_))

    def show(out: Console) -> None:
        for name, value in entry_document(entry).items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if isinstance(value, dict):
                text = f"\n{json.dumps(value, ensure_ascii=False, indent=2)}"
            if value is not None:
                out.print(f"{name}: {text}", markup=False)

    session.answer(entry_document(entry), show)


@audit.command("verify", epilog="Example:  deployengine audit verify")
@click.option(
    "--expect",
    metavar="HASH",
    help="A hash that was told here before: it must still be there, or the end was cut off.",
)
@command
def verify(session: Session, expect: str | None) -> int:
    """Check the chain of hashes: that no event was changed, taken out or put in.

    Ends with 1 and the first that is wrong. Only --expect can show that the latest events were
    taken away, or that all of it was written anew: keep the hash that is told here elsewhere.
    """
    if expect is not None and not _HASH.fullmatch(expect := expect.strip().lower()):
        raise click.BadParameter("a hash has 64 digits from 0 to f", param_hint="--expect")
    verdict = session.services.audit_trail.verify(expect, _progress(session))
    right = verdict.broken is None and verdict.kept
    document = {
        "right": right,
        "events": verdict.entries,
        "head": verdict.head,
        "expected_found": verdict.kept if expect is not None else None,
        "broken": _broken_document(verdict.broken),
    }
    session.answer(document, lambda out: _show(out, verdict))
    return 0 if right else 1


def entry_document(entry: Entry) -> dict[str, Any]:
    """An event as ``--json`` prints it; only its id and hash when it cannot be read any more."""
    event = entry.event
    if event is None:
        return {"id": entry.id, "hash": entry.hash}
    return {
        "id": entry.id,
        "at": instant(event.at),
        "who": event.who,
        "action": event.action,
        "subject": event.subject,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "hash": entry.hash,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    event = entry.event
    if event is None:
        return (str(entry.id), "", "", "cannot be read any more", "", "")
    at = f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}"
    return (str(entry.id), at, event.who, event.action, event.subject, event.reason or "")


def _progress(session: Session) -> Callable[[int], None]:
    told = 0

    def tell(read: int) -> None:
        nonlocal told
        if read >= told + _STRIDE:
            told = read
            session.say(f"{read} events were read")

    return tell


def _broken_document(broken: Break | None) -> dict[str, Any] | None:
    if broken is None:
        return None
    return {"event": broken.id, "flaw": broken.flaw.value, "said": broken.said}


def _show(out: Console, verdict: Verdict) -> None:
    if verdict.broken is not None:
        out.print(verdict.broken.said, markup=False)
        out.print(f"the {verdict.entries} events before that are right", markup=False)
        return
    out.print(f"{verdict.entries} events, all of them right", markup=False)
    out.print(f"the latest has the hash {verdict.head}", markup=False)
    if not verdict.kept:
        said = "the hash that you expect is not among theirs: the end was cut off, or all of it"
        out.print(f"{said} was written anew", markup=False)
