"""The report of a batch: as a document, on the terminal, as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from deployengine.cli.documents import batch_document
from deployengine.cli.report_html import html_report
from deployengine.cli.report_text import text_report
from deployengine.domain.deployment import ReleaseState
from deployengine.domain.errors import RequestError
from deployengine.domain.report import Report, to_document
from deployengine.engine.batch_facts import batch_report, of_itself
from deployengine.engine.batches import BatchProgress
from deployengine.services import Services

F = TypeVar("F", bound=Callable[..., Any])


#: Releases that are told by name.
_NAMED = 10


class _Page(click.Path):
    """A file that may be new, in a folder that is there."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Told at once, and not when all that is to be reported has been waited for."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {str(path.parent)!r}", param, ctx)
        return path


def html_option(**more: Any) -> Callable[[F], F]:
    """``--html``."""
    return click.option("--html", type=_Page(), help="Write the report as a page.", **more)


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """A batch with its report."""

    progress: BatchProgress
    report: Report

    @property
    def document(self) -> dict[str, Any]:
        """State and releases, and beside them all figures of the report."""
        figures = to_document(self.report)
        batch = batch_document(self.progress)
        return {**figures, **batch, "counts_by_kind": figures["counts"]}


def batch_answer(services: Services, name: str) -> BatchAnswer:
    """The batch as it stands and its report; raises ``UnknownName``.

    What people asked for later is among its releases' deployments, and not in the report.
    """
    progress = services.batches.progress(name, with_runs=True)
    own = of_itself(progress)
    ends = [run.finished_at for run in own.runs if run.finished_at is not None]
    end = max(ends, default=services.clock.now())
    task_cap = services.roll.task_cap_during(progress.batch.created_at, end)
    return BatchAnswer(progress, batch_report(own, services.queries, task_cap))


def show_batch(out: Console, answer: BatchAnswer) -> None:
    """The report for people."""
    progress = answer.progress
    out.print(f"batch {progress.batch.name}: [bold]{progress.state}[/]")
    if progress.removed:
        all_ = progress.removed + len(progress.releases)
        out.print(f"{progress.removed} of its {all_} releases are gone by retention")
    created = [r.release for r in progress.releases if r.state is ReleaseState.CREATED]
    if created:
        named = ", ".join(f"{r.project} {r.version}" for r in created[:_NAMED])
        more = f" and {len(created) - _NAMED} more" if len(created) > _NAMED else ""
        out.print(f"created, and to be deployed by somebody: {named}{more}", markup=False)
    out.print(text_report(answer.report))


def write_html(answer: BatchAnswer, path: Path) -> None:
    """Writes the report as one page; raises :class:`RequestError` when it cannot."""
    try:
        path.write_text(html_report(answer.report), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from error
