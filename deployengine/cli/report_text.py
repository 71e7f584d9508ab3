"""A batch's report on the terminal: at most 100 columns, and as readable without colour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deployengine.domain.bounds import Bound, Limit
from deployengine.domain.report import EnvironmentSummary, Failure, Report, RunFacts

#: Failures that are told in full; the document and the page have them all.
FAILURES = 20

#: Columns; a narrower terminal folds what does not fit.
WIDTH = 100

State = TypeVar("State", bound=StrEnum)

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def text_report(report: Report) -> RenderableType:
    """What to print: figures, environments, slowest runs, failures."""
    parts: list[RenderableType] = [_figures(report)]
    if report.environments:
        parts += [_heading("Environments"), _environments(report.environments)]
    if report.slowest:
        parts += [_heading("Slowest runs"), _slowest(report.slowest)]
    if report.failures:
        parts += [_heading("Failures", "bold red"), *_failures(report.failures)]
    return Constrain(Group(*parts), WIDTH)


def duration(seconds: float) -> str:
    """Seconds as people say them: "0.42 s", "12.3 s", "4m 05s", "2h 03m"."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{round(whole / 60) // 60}h {round(whole / 60) % 60:02}m"


def bound_said(bound: Bound) -> str:
    """Where the lower bound comes from, with its terms."""
    if bound.limit is Limit.TASK_CAP:
        return "all running time over the task cap"
    if bound.limit is Limit.RELEASE:
        return f"release {bound.name}, its steps one after another"
    before = f"{duration(bound.before)} before it + " if bound.before else ""
    after = f" + {duration(bound.after)} after it" if bound.after else ""
    return f"machine {bound.name}: {before}{duration(bound.work)} on it{after}"


def counts_said(counts: Mapping[State, int]) -> str:
    """ "48 succeeded, 2 failed"; "none" when there are none."""
    return ", ".join(f"{n} {state.value}" for state, n in counts.items()) or "none"


def printable(text: str) -> str:
    """The text without what could move the cursor, recolour the screen or reorder the line."""
    text = _ESCAPES.sub("", text.replace("\t", "    "))
    return "".join(c if c.isprintable() else "�" for c in text)


def _figures(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in _said(report):
        table.add_row(name, Text(printable(said)))
    return table


def _said(report: Report) -> Iterable[tuple[str, str]]:
    counts, waits = report.counts, report.waits
    yield "Batch", report.name
    yield "Releases", counts_said(counts.releases)
    yield "Runs", counts_said(counts.runs)
    yield "Makespan", duration(report.makespan_seconds)
    if report.bound is not None:
        ratio = f" (makespan is {report.ratio:.2f} × this)" if report.ratio else ""
        yield "Lower bound", f"{duration(report.bound.seconds)}{ratio}: {bound_said(report.bound)}"
    cap = ""
    if report.task_cap is not None and report.utilisation is not None:
        cap = f", {report.utilisation:.0%} of {report.task_cap} slots"
    yield "Running", f"{duration(report.running_seconds)}{cap}"
    yield (
        "Waiting",
        f"machine {duration(waits.machine_seconds)} · tag {duration(waits.tag_seconds)}"
        f" · task cap {duration(waits.task_cap_seconds)}",
    )


def _heading(text: str, style: str = "bold") -> RenderableType:
    return Padding(Text(text, style), (1, 0, 0, 0))


def _table(*headings: str, numbers: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        right = heading in numbers
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, max_width=26)
    return table


def _environments(environments: Iterable[EnvironmentSummary]) -> Table:
    numbers = ("machines", "runs", "failed", "ran", "machine wait", "tag wait", "cap wait")
    table = _table("environment", *numbers, numbers=numbers)
    for each in environments:
        waits = each.waits
        table.add_row(
            Text(printable(each.environment)),
            str(each.machines),
            str(each.runs),
            Text(str(each.failed), "red" if each.failed else ""),
            duration(each.running_seconds),
            duration(waits.machine_seconds),
            duration(waits.tag_seconds),
            duration(waits.task_cap_seconds),
        )
    return table


def _slowest(runs: Iterable[RunFacts]) -> Table:
    numbers = ("ran", "waited")
    table = _table("run", "release", "step", "machine", *numbers, numbers=numbers)
    for run in runs:
        table.add_row(
            Text(printable(run.run)),
            Text(printable(f"{run.project} {run.version}")),
            Text(printable(run.step)),
            Text(printable(run.machine)),
            duration(run.running_seconds),
            duration(run.machine_seconds + run.task_cap_seconds),
        )
    return table


def _failures(failures: tuple[Failure, ...]) -> Iterable[RenderableType]:
    # What nothing made good comes first, so that it is not among those left out.
    told = sorted(failures, key=lambda failure: failure.recovered)
    for failure in told[:FAILURES]:
        yield Text(printable(failure_said(failure)))
        for line in failure.run.last_lines if failure.run else ():
            yield Padding(Text(printable(line), "dim"), (0, 0, 0, 4))
    if len(told) > FAILURES:
        yield Text(f"and {len(told) - FAILURES} more", "dim")


def failure_said(failure: Failure) -> str:
    """One line: what failed where, and why."""
    run, deployment = failure.run, failure.deployment
    said = f"{run.run if run else deployment.id}  {deployment.project} {deployment.version}"
    said += f" → {deployment.environment}"
    if run is not None:
        again = f" (attempt {run.attempt})" if run.attempt > 1 else ""
        said += f" · {run.step} on {run.machine}{again}"
    said += f": {failure.message or (run.state.value if run else deployment.state.value)}"
    return f"{said}; a later attempt succeeded" if failure.recovered else said
