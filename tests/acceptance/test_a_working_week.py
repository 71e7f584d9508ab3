"""One catalog with all that a release manager decides, from QA to Production, with its own clock.

Two channels, three lifecycles, four variable sets, a rolling group, an approval, a freeze, a
schedule, and no tenants: real workers, and a clock that the test sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deployengine.domain.deployment import DeploymentState
from tests.acceptance.catalogs import BEGIN, END, SHORT, bypassing, machine
from tests.acceptance.conftest import Say, has_failed, saying_to
from tests.support.engine import LiveEngine, until
from tests.support.moved_clock import MovedClock

WINDOW = 5
PRODUCTION = [f"prod-{n:02}" for n in range(1, 31)]


def monday(hour: int, minute: int = 0, day: int = 7) -> datetime:
    """An instant of the week."""
    return datetime(2030, 1, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def week(request: pytest.FixtureRequest) -> Iterator[LiveEngine]:
    """An engine whose week begins on Monday at eight."""
    with LiveEngine() as live:
        clock = live.clock = MovedClock(live.scratch / "clock")
        clock.set(monday(8))
        for kind in ("control", "slots"):
            live.start(
                *(str(live.scratch / "clock"), kind),
                module="tests.support.moved_clock",
                DEPLOYENGINE_TASK_CAP="8",
            )
        yield live
        live.check_at_end = not has_failed(request)


def automatic(name: str, *environments: str, **more: Any) -> dict[str, Any]:
    phases = [{"name": each, "automatic": [each]} for each in environments]
    return {"name": name, "phases": phases, **more}


#: What a script knows of its four variable sets, beside the machine's journal.
KNOWS = 'echo "#{Company}, #{Database}, #{Web.Port}, #{Colour}" > knows\n'

SHOP: dict[str, Any] = {
    "name": "shop",
    "lifecycle": "careful",
    "channels": [
        {"name": "stable", "lifecycle": "careful"},
        {"name": "hotfix", "lifecycle": "fast"},
    ],
    "include": ["company", "databases", "web", "colours"],
    "process": [
        {
            "name": "Approve",
            "kind": "manual",
            "instructions": "#{Octopus.Project.Name} to #{Octopus.Environment.Name}?",
            "responsible": ["alice"],
            "environments": ["Production"],
            "channels": ["stable"],
        },
        {
            "name": "Roll",
            "kind": "rolling",
            "roles": ["web"],
            "max_parallel": WINDOW,
            "steps": [
                {"name": "Drain", "script": SHORT},
                {"name": "Install", "script": f"{BEGIN}{KNOWS}{END}"},
                {"name": "Back", "script": SHORT},
            ],
        },
        {"name": "Tell", "script": SHORT, "condition": "always", "roles": ["mail"]},
    ],
}

CATALOG: dict[str, Any] = {
    "environments": ["QA", "Staging", "Production"],
    "machines": [
        machine("qa-1", "QA", roles=["web", "mail"]),
        machine("stg-1", "Staging", roles=["web", "mail"]),
        machine("stg-[2:4]", "Staging"),
        machine("prod-01", "Production", roles=["web", "mail"]),
        machine("prod-[02:30]", "Production"),
    ],
    "lifecycles": [
        automatic("careful", "QA", "Staging", "Production", default=True),
        {
            "name": "fast",
            "phases": [
                {"name": "Tests", "optional": True, "manual": ["QA", "Staging"], "minimum": 1},
                {"name": "Production", "manual": ["Production"], "priority": 2},
            ],
        },
        automatic("nightly", "QA"),
    ],
    "variable_sets": [
        {"name": "company", "variables": [{"name": "Company", "value": "Acme"}]},
        {
            "name": "databases",
            "variables": [
                {"name": "Database", "value": "db.test"},
                {
                    "name": "Database",
                    "value": "db.#{Company | ToLower}",
                    "scope": {"environments": ["Production"]},
                },
            ],
        },
        {
            "name": "web",
            "variables": [
                {"name": "Web.Port", "value": "80"},
                {"name": "Web.Port", "value": "8080", "scope": {"roles": ["mail"]}},
                bypassing("True", environments=["Production"]),
            ],
        },
        {
            "name": "colours",
            "variables": [
                {"name": "Colour", "value": "blue", "scope": {"channels": ["stable"]}},
                {"name": "Colour", "value": "red", "scope": {"channels": ["hotfix"]}},
            ],
        },
    ],
    "freezes": [
        {
            "name": "office hours",
            "environments": ["Production"],
            "from": "2030-01-07T09:00",
            "to": "2030-01-07T18:00",
            "time_zone": "Europe/Vienna",
        }
    ],
    "schedules": [
        {
            "name": "every night",
            "project": "tests",
            "environment": "QA",
            "cron": "0 3 * * *",
            "time_zone": "Europe/Vienna",
        }
    ],
    "projects": [
        SHOP,
        {
            "name": "tests",
            "lifecycle": "nightly",
            "process": [{"name": "Test", "script": SHORT}],
        },
    ],
}


def deployments(engine: LiveEngine, project: str, version: str) -> dict[str, str]:
    """The states of a release's deployments by environment, the latest of each."""
    found = [d for d in engine.deployments() if (d.project, d.version) == (project, version)]
    return {d.environment: d.state.value for d in found}


def last(engine: LiveEngine, project: str) -> int:
    return [d for d in engine.deployments() if d.project == project][-1].id


def at_once(engine: LiveEngine, number: int) -> int:
    """At most so many machines of the rolling group were at work together."""
    group = [run for run in engine.detail(number).runs if run.machine and run.step <= 3]
    spans: dict[str, list[datetime]] = {}
    for run in group:
        assert run.started_at
        assert run.finished_at
        spans.setdefault(run.machine, []).extend((run.started_at, run.finished_at))
    edges = [(min(times), 1) for times in spans.values()]
    edges += [(max(times), -1) for times in spans.values()]
    inside = most = 0
    for _, change in sorted(edges):
        inside += change
        most = max(most, inside)
    return most


def steps_on(engine: LiveEngine, name: str, version: str) -> list[str]:
    """The steps of a release that have begun on a machine, in order."""
    return [e.step for e in engine.journal(name) if e.event == "begin" and e.version == version]


def knows(engine: LiveEngine, name: str) -> str:
    return (engine.home / "machines" / name / "knows").read_text().strip()


def test_two_channels_three_lifecycles_four_sets_rolling_approval_freeze_schedule_to_production(
    week: LiveEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say: Say = saying_to(week, monkeypatch)
    clock = week.clock
    assert isinstance(clock, MovedClock)
    week.apply(CATALOG)
    monkeypatch.setenv("DEPLOYENGINE_USER", "bob")

    # Monday, eight o'clock: the lifecycle carries 1.0 as far as the freeze.
    assert say("release", "create", "shop", "1.0", "--channel", "stable").code == 0
    assert say("release", "create", "tests", "5").code == 0
    until(lambda: "Production" in deployments(week, "shop", "1.0"), "it comes to Production")
    assert deployments(week, "shop", "1.0") == {
        "QA": "succeeded",
        "Staging": "succeeded",
        "Production": "queued",
    }
    held = last(week, "shop")
    (wait,) = say("why", f"dep-{held}", "--json").document
    assert (wait["reason"], "office hours" in str(wait)) == ("freeze", True)
    assert knows(week, "qa-1") == "Acme, db.test, 8080, blue"
    assert knows(week, "stg-2") == "Acme, db.test, 80, blue"

    # A fix goes its own way: scheduled for eight in the evening, gone by nine.
    assert say("release", "create", "shop", "1.1", "--channel", "hotfix").code == 0
    fix = ("release", "deploy", "shop", "1.1", "Production")
    assert say(*fix).code == 2, "it is frozen"
    times = ("--at", "2030-01-07T20:00+00:00", "--expires", "2030-01-07T21:00+00:00")
    assert say(*fix, *times).code == 0
    scheduled = last(week, "shop")
    assert week.detail(scheduled).deployment.ticket is None

    # A minute before six in Vienna nothing has begun; at six the question is there.
    clock.set(monday(16, 59))
    assert week.detail(held).deployment.state is DeploymentState.QUEUED
    assert say("inbox", "--json").document == []
    clock.set(monday(17))
    until(lambda: say("inbox", "--all", "--json").document, "somebody is asked")
    assert say("inbox", "--json").document == [], "but not bob"
    (asked,) = say("inbox", "--all", "--json").document
    assert (asked["deployment"], asked["message"]) == (f"dep-{held}", "shop to Production?")
    until(lambda: week.services.queries.locks() == [], "nothing is held while she thinks")
    assert [week.journal(name) for name in PRODUCTION] == [[]] * 30
    refused = say("approve", f"dep-{held}")
    assert (refused.code, "alice" in refused.err) == (2, True)
    monkeypatch.setenv("DEPLOYENGINE_USER", "alice")
    assert say("approve", f"dep-{held}", "--note", "go").code == 0
    assert week.await_end(held) == "succeeded"
    assert [steps_on(week, name, "1.0") for name in PRODUCTION] == [
        ["Drain", "Install", "Back", "Tell"],
        *[["Drain", "Install", "Back"]] * 29,
    ]
    assert 1 <= at_once(week, held) <= WINDOW
    assert {run.lock_mode for run in week.detail(held).runs if run.machine} == {"shared"}
    assert (knows(week, "prod-01"), knows(week, "prod-30")) == (
        "Acme, db.acme, 8080, blue",
        "Acme, db.acme, 80, blue",
    )

    # Eight in the evening: the fix, which asks nobody; and it is not undone.
    assert week.detail(scheduled).deployment.ticket is None
    clock.set(monday(20))
    assert week.await_end(scheduled) == "succeeded"
    assert (knows(week, "prod-17"), at_once(week, scheduled) <= WINDOW) == (
        "Acme, db.acme, 80, red",
        True,
    )

    # Three at night in Vienna: the schedule; the night after it comes again.
    for day, times_run in ((8, 2), (9, 3)):
        clock.set(monday(2, 0, day))
        until(lambda n=times_run: week.begun("qa-1").count("tests") == n, "the night's tests")
    until(lambda: week.await_end(last(week, "tests")) == "succeeded", "the end of the tests")

    # All of it is on record, and nothing is left.
    actions = {each["action"] for each in say("audit", "list", "--json").document}
    assert actions >= {"release.create", "release.deploy", "answer.proceed", "mutex.bypass"}
    assert say("audit", "verify").code == 0
    assert week.services.queries.locks() == []
