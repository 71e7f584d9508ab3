"""The report on the terminal and as a page."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from deployengine.cli.report_html import html_report
from deployengine.cli.report_text import FAILURES, duration, printable, text_report
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.report import DeploymentFacts, Report, RunFacts, report

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"&"
CONTROLS = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2Jgone\u202ereversed\x00"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def queue(
    size: int, *, failing: bool = False, project: str = "app", lines: tuple[str, ...] = ()
) -> Report:
    """A queue at one machine; each run takes a second."""
    deployments = [
        DeploymentFacts(
            id=f"dep-{n}",
            project=f"{project}-{n}",
            version="1.0",
            environment="QA",
            state=DeploymentState.FAILED if failing else DeploymentState.SUCCEEDED,
            created_at=at(0),
            started_at=at(0),
            finished_at=at(n + 1),
        )
        for n in range(size)
    ]
    runs = [
        RunFacts(
            run=f"run-{n}",
            deployment=each.id,
            project=each.project,
            version=each.version,
            environment=each.environment,
            step="Install",
            machine="qa-01",
            attempt=1,
            state=RunState.FAILED if failing else RunState.SUCCEEDED,
            lock_mode="exclusive",
            ready_at=at(0),
            granted_at=at(n),
            started_at=at(n),
            finished_at=at(n + 1),
            exit_code=3 if failing else 0,
            message="exit code 3" if failing else None,
            last_lines=lines,
        )
        for n, each in enumerate(deployments)
    ]
    return report("nightly", runs, deployments, 5)


def hostile() -> Report:
    """Every text that a person or a script can choose is hostile."""
    found = queue(2, failing=True)
    runs = [
        replace(run, project=HOSTILE, version=HOSTILE, environment=HOSTILE, step=HOSTILE)
        for run in found.runs
    ]
    runs = [
        replace(run, machine=HOSTILE, message=HOSTILE, last_lines=(HOSTILE, CONTROLS))
        for run in runs
    ]
    deployments = [
        replace(each, project=HOSTILE, version=HOSTILE, environment=HOSTILE, message=HOSTILE)
        for each in found.deployments
    ]
    return report(HOSTILE, runs, deployments, 5)


def printed(found: Report, width: int = 100, **more: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **more)
    console.print(text_report(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@dataclass
class Page(HTMLParser):
    """What a reader of the page meets."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    _inside: str = ""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = "data" if ("id", "data") in attrs else tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside, []).append(data)

    def first(self, inside: str) -> str:
        return "".join(self.texts[inside])

    def data(self) -> dict[str, Any]:
        """The runs as the timeline gets them."""
        return dict(json.loads(self.first("data")))


def test_the_terminal_tells_the_figures_and_where_the_bound_comes_from() -> None:
    said = printed(queue(3))

    assert re.search(r"Makespan +3\.00 s", said)
    assert re.search(r"Lower bound +3\.00 s \(makespan is 1\.00 × this\): machine qa-01", said)
    assert re.search(r"Waiting +machine 3\.00 s · tag 0\.00 s · task cap 0\.00 s", said)
    assert re.search(r"Running +3\.00 s, 20% of 5 slots", said)
    assert re.search(r"QA +1 +3 +0 +3\.00 s +3\.00 s", said)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_terminal_report_is_never_wider_than_a_hundred_columns(width: int) -> None:
    said = printed(queue(12, failing=True, project="a-project-of-some-length" * 5), width)

    assert max(map(len, said.splitlines())) <= min(width, 100)


def test_without_colour_there_are_no_escape_sequences_and_nothing_is_lost() -> None:
    plain = printed(queue(2, failing=True, lines=("disk full",)))
    coloured = printed(
        queue(2, failing=True, lines=("disk full",)), force_terminal=True, color_system="standard"
    )

    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert re.search(r"(?m)^run-1  app-1 1\.0 → QA · Install on qa-01: exit code 3 *$", plain)
    assert "    disk full" in plain


def test_markup_and_control_characters_in_names_and_output_reach_no_terminal() -> None:
    found = queue(1, failing=True, project="[red]app[/]", lines=(CONTROLS, "[/nonsense]"))
    said = printed(found)

    assert "[red]app[/]-0" in said
    assert "[/nonsense]" in said
    assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(said)
    assert printable(CONTROLS) == "redgone�reversed�"


def test_failures_without_remedy_come_first_and_the_rest_is_counted() -> None:
    found = queue(FAILURES + 5, failing=True)
    failures = [replace(each, recovered=n == 0) for n, each in enumerate(found.failures)]
    said = printed(replace(found, failures=tuple(failures)))

    told = said[said.index("Failures") :]
    assert "and 5 more" in told
    assert "run-1  " in told
    assert "run-0  " not in told


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.00 s"), (9.994, "9.99 s"), (9.996, "10.0 s"), (99.94, "99.9 s"), (99.96, "1m 40s"),
        (3599.4, "59m 59s"), (3599.6, "1h 00m"), (7379, "2h 03m"), (230_400, "64h 00m"),
    ],
)  # fmt: skip
def test_durations_are_said_with_three_figures_and_never_sixty_seconds(
    seconds: float, said: str
) -> None:
    assert duration(seconds) == said


def test_every_run_is_in_the_page_with_its_four_instants() -> None:
    found = queue(1750)
    data = Page(html_report(found)).data()
    projects, *_ = data["names"]

    assert len(data["runs"]) == 1750
    assert {projects[run[0]] for run in data["runs"]} == {f"app-{n}" for n in range(1750)}
    assert data["runs"][7][8:14] == [0, 7, 7, 8, 0, "run-7"]
    assert data["seconds"] == 1750


def test_a_run_that_never_started_is_in_the_page_without_instants() -> None:
    found = queue(1)
    waiting = replace(
        found.runs[0],
        state=RunState.WAITING,
        granted_at=None,
        started_at=None,
        finished_at=None,
        exit_code=None,
    )
    data = Page(html_report(report("open", [waiting], found.deployments, 5))).data()

    assert data["runs"][0][8:13] == [0, None, None, None, None]


def test_the_page_tells_figures_failures_and_slowest_runs_without_scripting() -> None:
    page = html_report(queue(3, failing=True, lines=("disk full",)))
    bare = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)

    assert "<dt>Makespan</dt><dd>3.00 s" in bare
    assert "<dt>Ratio</dt><dd>1.00 ×" in bare
    assert "machine qa-01: 3.00 s on it" in bare
    assert bare.count("<pre>disk full</pre>") == 3
    assert "<h2>Slowest runs</h2>" in bare


def test_a_batch_without_failures_has_no_table_of_them() -> None:
    assert "<h2>Failures</h2>" not in html_report(queue(3))


def test_hostile_names_and_output_add_no_element_and_no_attribute() -> None:
    tame, wild = Page(html_report(queue(2, failing=True))), Page(html_report(hostile()))

    assert set(wild.tags) - set(tame.tags) == {"pre"}
    assert wild.tags.count("script") == tame.tags.count("script") == 2
    assert {name for name, _ in wild.attributes} == {name for name, _ in tame.attributes}
    assert HOSTILE in wild.first("h1")
    assert wild.data()["names"][0] == [HOSTILE]
    assert wild.data()["runs"][0][14] == HOSTILE


def test_hostile_text_appears_nowhere_in_the_page_as_it_is() -> None:
    page = html_report(hostile())

    assert "<script>alert" not in page
    assert "<img" not in page
    assert not {"\x1b", "\x00", "\u202e"} & set(page)


def test_a_template_sign_in_a_name_is_only_a_name() -> None:
    assert "$data ${style} $$" in html_report(queue(1, project="$data ${style} $$"))


def test_the_page_asks_nobody_for_anything() -> None:
    page = html_report(hostile())
    read = Page(page)
    loading = {"src", "href", "srcset", "action", "poster", "background", "xlink:href"}

    assert not re.search(r"(https?:)?//[a-z0-9]", page.split('id="data"')[0] + read.first("script"))
    assert not loading & {name for name, _ in read.attributes}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|WebSocket", page)


def test_the_pages_own_policy_runs_its_script_and_no_other() -> None:
    read = Page(html_report(queue(1)))
    policy = next(value for _, value in read.attributes if value and "default-src" in value)

    def digest(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    script = read.texts["script"]
    style = read.texts["style"]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src '{digest(style[0])}'",
        f"script-src '{digest(script[0])}'",
    ]


def test_the_timeline_has_a_label_a_table_beside_it_and_can_be_reached_by_keyboard() -> None:
    read = Page(html_report(queue(1)))

    assert ("tabindex", "0") in read.attributes
    assert ("id", "rows") in read.attributes
    labels = [value for name, value in read.attributes if name == "aria-label" and value]
    assert any(label.startswith("Timeline: one row a machine") for label in labels)
    assert read.first("summary").strip() == "Every run as a table (1)"


def test_an_empty_batch_has_a_page_and_a_terminal_report_too() -> None:
    empty = report("empty", [], [], None)

    assert Page(html_report(empty)).data()["runs"] == []
    assert "Makespan" in printed(empty)
