"""A batch's report as one HTML page that needs nothing but itself.

The page may hold what scripts printed and what people named things, so it is built for hostile
text: every text is escaped, the runs travel as JSON that cannot end its element, and the page's
own policy runs no script but its own and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from deployengine.cli.report_text import bound_said, counts_said, duration, printable
from deployengine.domain.report import EnvironmentSummary, Failure, Report, RunFacts

#: What ends a script element, begins a comment, or is no character in some reader.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def html_report(report: Report) -> str:
    """The whole page."""
    style, script = _asset("report.css"), _asset("report.js")
    return Template(_asset("report.html")).substitute(
        name=_text(report.name),
        style=style,
        style_hash=_digest(style),
        script=script,
        script_hash=_digest(script),
        states=_text(_states(report)),
        figures="".join(_figure(*each) for each in _figures(report)),
        failures=_failures(report.failures),
        environments=_environments(report.environments),
        slowest=_slowest(report.slowest),
        run_count=f"{len(report.runs):,}",
        data=_data(report),
    )


@cache
def _asset(name: str) -> str:
    return files("deployengine.cli").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(text: str) -> str:
    return escape(printable(text))


def _states(report: Report) -> str:
    counts = report.counts
    return f"Releases: {counts_said(counts.releases)} · runs: {counts_said(counts.runs)}"


def _figures(report: Report) -> Iterable[tuple[str, str, str]]:
    waits, cap = report.waits, report.task_cap
    yield "Makespan", duration(report.makespan_seconds), "first deployment created → last end"
    if report.bound is not None:
        yield "Lower bound", duration(report.bound.seconds), bound_said(report.bound)
    if report.ratio is not None:
        yield "Ratio", f"{report.ratio:.2f} ×", "makespan over lower bound"
    used = "" if report.utilisation is None else f"{report.utilisation:.0%} of {cap} slots"
    yield "Running", duration(report.running_seconds), used
    yield "Waited for machines", duration(waits.machine_seconds), "all runs: ready → granted"
    yield "Waited for tags", duration(waits.tag_seconds), "all deployments: created → started"
    yield "Waited for the task cap", duration(waits.task_cap_seconds), "all runs: granted → started"


def _figure(name: str, value: str, note: str) -> str:
    return f"<div><dt>{_text(name)}</dt><dd>{_text(value)}<small>{_text(note)}</small></dd></div>"


def _table(headings: Iterable[str], numbers: set[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    headings = tuple(headings)
    kinds = [' class="n"' if heading in numbers else "" for heading in headings]
    top = "".join(
        f'<th scope="col"{kind}>{_text(heading)}</th>'
        for heading, kind in zip(headings, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _environments(environments: Iterable[EnvironmentSummary]) -> str:
    numbers = ("deployments", "machines", "runs", "failed", "ran", "machine wait", "tag wait")
    rows = (
        (
            _text(each.environment),
            str(each.deployments),
            str(each.machines),
            str(each.runs),
            f'<span class="bad">{each.failed}</span>' if each.failed else "0",
            duration(each.running_seconds),
            duration(each.waits.machine_seconds),
            duration(each.waits.tag_seconds),
            duration(each.waits.task_cap_seconds),
        )
        for each in environments
    )
    return _table(("environment", *numbers, "cap wait"), {*numbers, "cap wait"}, rows)


def _slowest(runs: Iterable[RunFacts]) -> str:
    numbers = {"ran", "machine wait", "cap wait"}
    words = ("run", "release", "environment", "step", "machine")
    rows = (
        (
            *(_text(word) for word in _words(run)),
            duration(run.running_seconds),
            duration(run.machine_seconds),
            duration(run.task_cap_seconds),
        )
        for run in runs
    )
    return _table((*words, "ran", "machine wait", "cap wait"), numbers, rows)


def _words(run: RunFacts) -> tuple[str, ...]:
    release = f"{run.project} {run.version}"
    again = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    return run.run, release, run.environment, run.step + again, run.machine


def _failures(failures: Iterable[Failure]) -> str:
    rows = [_failure(failure) for failure in sorted(failures, key=lambda each: each.recovered)]
    if not rows:
        return ""
    headings = ("run", "release", "environment", "step", "machine", "exit", "what happened")
    return f"<section><h2>Failures</h2>{_table(headings, {'exit'}, rows)}</section>"


def _failure(failure: Failure) -> tuple[str, ...]:
    run, deployment = failure.run, failure.deployment
    release = f"{deployment.project} {deployment.version}"
    words = _words(run) if run else (deployment.id, release, deployment.environment, "–", "–")
    code = "–" if run is None or run.exit_code is None else str(run.exit_code)
    state = run.state.value if run else deployment.state.value
    told = f'<span class="bad">{_text(failure.message or state)}</span>'
    if failure.recovered:
        told += " a later attempt succeeded"
    if run is not None and run.last_lines:
        told += "<pre>" + "\n".join(_text(line) for line in run.last_lines) + "</pre>"
    return (*(_text(word) for word in words), code, told)


def _data(report: Report) -> str:
    """The runs as JSON for the timeline: names once, then a row a run, as the script reads them."""
    zero = min((d.created_at for d in report.deployments), default=None)
    columns: tuple[Callable[[RunFacts], str], ...] = (
        lambda run: run.project,
        lambda run: run.version,
        lambda run: run.environment,
        lambda run: run.machine,
        lambda run: run.step,
        lambda run: run.state.value,
    )
    names: list[dict[str, int]] = [{} for _ in columns]
    # The environments in the order in which the batch came to them, not in that of the runs.
    names[2].update({each.environment: n for n, each in enumerate(report.environments)})
    rows = [
        [
            *(
                known.setdefault(printable(column(run)), len(known))
                for column, known in zip(columns, names, strict=True)
            ),
            *_details(run, zero),
        ]
        for run in report.runs
    ]
    document = {
        "seconds": round(report.makespan_seconds, 3),
        "names": [list(known) for known in names],
        "runs": rows,
    }
    text = json.dumps(document, separators=(",", ":"))
    return "".join(_UNSAFE.get(c, c) for c in text)


def _details(run: RunFacts, zero: datetime | None) -> list[Any]:
    instants = (run.ready_at, run.granted_at, run.started_at, run.finished_at)
    return [
        run.attempt,
        run.lock_mode,
        *(
            None if moment is None or zero is None else round((moment - zero).total_seconds(), 3)
            for moment in instants
        ),
        run.exit_code,
        run.run,
        printable(run.message) if run.message else None,
    ]
