"""``batch``: run, list, show, cancel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.batch_file import read_batch
from deployengine.cli.batch_report import batch_answer, html_option, show_batch, write_html
from deployengine.cli.deployment_view import coloured, still_ending
from deployengine.cli.documents import batch_document, batch_summary
from deployengine.cli.live import watch_batch
from deployengine.cli.moments import shown
from deployengine.cli.names import NAME
from deployengine.cli.report_text import counts_said
from deployengine.cli.session import LIMIT, Session, command
from deployengine.cli.waiting import needs_wait, waiting_options
from deployengine.domain.errors import GaveUpWaiting


@click.group()
def batch() -> None:
    """Many releases created and deployed in one go."""


@batch.command("run", epilog="Example:  deployengine batch run releases.csv --wait")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", type=NAME, help="Its name; default: from the file's rows.")
@waiting_options("Watch it to its end; exit 1 if a release failed.")
@html_option(callback=needs_wait)
@command
def run(
    session: Session,
    file: Path,
    wait: bool,
    name: str | None,
    timeout: float | None,
    html: Path | None,
) -> int:
    """Create the releases in FILE (YAML or CSV rows: project, version[, channel]) and deploy them.

    The same batch twice does nothing new.
    """
    batches = session.services.batches
    rows, faults = read_batch(file)
    stored = batches.run(rows, name, session.user, faults, session.say)
    if not wait:
        progress = batches.progress(stored.name)
        session.answer(
            batch_document(progress),
            lambda out: out.print(
                f"batch {stored.name}: {len(progress.releases)} releases, {progress.state}",
                markup=False,
            ),
        )
        return 0
    try:
        watch_batch(session, stored.name, timeout)
    except GaveUpWaiting:
        if html is not None:
            write_html(batch_answer(session.services, stored.name), html)
        raise
    return finish_batch(session, stored.name, html)


def finish_batch(session: Session, name: str, html: Path | None) -> int:
    """Answers with the batch's report; 0 when every release succeeded."""
    answer = batch_answer(session.services, name)
    if html is not None:
        write_html(answer, html)
    session.answer(answer.document, lambda out: show_batch(out, answer))
    return 0 if answer.progress.state in ("succeeded", "created", "removed") else 1


@batch.command("list", epilog="Example:  deployengine batch list --limit 5")
@click.option("--limit", type=LIMIT, default=20, show_default=True, help="At most so many.")
@command
def list_batches(session: Session, limit: int) -> None:
    """List batches and how their releases stand, the newest first."""
    found = session.services.batches.latest(limit)

    def show(out: Console) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("name", "state", "releases", "created"):
            table.add_column(heading, no_wrap=heading == "name")
        for each in found:
            counts = counts_said(Counter(r.state for r in each.releases))
            row = (escape(each.batch.name), coloured(each.state), counts)
            table.add_row(*row, shown(each.batch.created_at))
        out.print(table)

    session.answer([batch_summary(each) for each in found], show)


@batch.command("show", epilog="Example:  deployengine batch show nightly --html report.html")
@click.argument("name", type=NAME)
@html_option()
@command
def show(session: Session, name: str, html: Path | None) -> None:
    """Show how far the batch NAME has come, what waited for what, and what failed.

    The figures leave out what people asked for once the batch had come to rest, unless it makes
    good what had failed.
    """
    answer = batch_answer(session.services, name)
    if html is not None:
        write_html(answer, html)
    session.answer(answer.document, lambda out: show_batch(out, answer))


@batch.command("cancel", epilog="Example:  deployengine batch cancel nightly")
@click.argument("name", type=NAME)
@command
def cancel(session: Session, name: str) -> None:
    """Cancel everything of the batch NAME that has not ended, and promote nothing of it."""
    progress = session.services.batches.cancel(name, session.user)
    ending = sum(not d.state.final for r in progress.releases for d in r.deployments)

    def show(out: Console) -> None:
        said = still_ending(ending, "deployment") if ending else progress.state
        out.print(f"batch {name}: {said}", markup=False)

    session.answer(batch_document(progress), show)
