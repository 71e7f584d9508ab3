"""``release list`` and ``show``: where releases have come, and where they may go."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.persistence.counters import FENCE
from tests.acceptance.catalogs import catalog, machine, project
from tests.cli.conftest import Say
from tests.support.fakes import House

STAGES = ("QA", "Staging", "Perf", "Production")
PHASES: list[dict[str, Any]] = [
    {"name": "QA", "automatic": ["QA"]},
    {"name": "Stage", "manual": ["Staging", "Perf"], "minimum": 1},
    {"name": "Production", "manual": ["Production"]},
]


@pytest.fixture(autouse=True)
def applied(house: House) -> House:
    machines = [machine(f"{name}-1".lower(), name) for name in STAGES]
    lifecycles = [
        {"name": "auto", "phases": PHASES},
        {"name": "hasty", "phases": [{"name": "Production", "manual": ["Production"]}]},
    ]
    channels = [{"name": "hotfix", "lifecycle": "hasty"}]
    house.apply(
        catalog(
            project("web", "true\n"),
            project("api", "true\n", channels=channels),
            environments=list(STAGES),
            machines=machines,
            lifecycles=lifecycles,
        )
    )
    return house


# ---- create and deploy ----


def test_space_around_a_name_or_version_is_never_meant(house: House, say: Say) -> None:
    assert say("release", "create", "web ", " 1.0 ").out.startswith("rel-1  web 1.0: created\n")
    house.deliver_all()
    say("release", "deploy", " web", "1.0 ", " QA", "--machine", "qa-1 ")
    assert say("release", "show", "web", "1.0 ", "--json").document["version"] == "1.0"
    assert say("deployment", "list", "--project", "web ", "--json").document


def test_what_a_phase_still_wants_is_told_with_its_minimum(house: House, say: Say) -> None:
    house.create("web", "1.0")
    house.deliver_all()
    told = say("release", "deploy", "web", "1.0", "Production", code=2).err
    assert "phase Stage comes first: one of Staging, Perf\n" in told


def test_what_differs_from_the_release_that_is_there_is_told(house: House, say: Say) -> None:
    say("release", "create", "api", "1.0")
    told = say("release", "create", "api", "1.0", "--channel", "hotfix", code=2).err
    assert told.startswith("api 1.0 exists with other content: channel, lifecycle; ")


# ---- block ----


def test_who_blocks_a_release_that_is_blocked_is_told_that_nothing_was_changed(
    house: House, say: Say
) -> None:
    house.create("web", "1.0")
    words = ("release", "block", "web", "1.0", "--reason")
    assert say(*words, "it leaks").out == "web 1.0: blocked by carol: it leaks\n"
    again = "web 1.0: is already blocked by carol: it leaks; nothing was changed\n"
    assert say(*words, "something else").out == again
    assert say(*words, "something else", "--json").document["changed"] is False
    assert say("release", "unblock", "web", "1.0").out == "web 1.0: may go on\n"
    assert say("release", "unblock", "web", "1.0").out == "web 1.0: was not blocked\n"


# ---- cancel ----


def test_what_is_being_cancelled_is_told_with_what_still_ends(house: House, say: Say) -> None:
    house.create("web", "1.0")
    house.deliver_chains()
    now = house.clock.now()
    with house.database.write() as tx:
        assert tx.claims.claim(1, "elsewhere", tx.counters.draw(FENCE), now, now)
    said = "being cancelled, 1 script is still ending\n"
    assert say("release", "cancel", "web", "1.0").out == f"dep-1  → QA: {said}"
    assert say("deployment", "cancel", "dep-1").out == f"dep-1: {said}"
    house.create("api", "1.0")
    assert say("release", "cancel", "api", "1.0").out == "dep-2  → QA: cancelled\n"


# ---- list ----


def test_releases_are_listed_the_newest_first_with_where_they_have_come(
    house: House, say: Say
) -> None:
    house.create("web", "1.0")
    house.deliver_all()
    say("release", "create", "api", "1.0", "--channel", "hotfix")
    say("release", "block", "web", "1.0", "--reason", "it [leaks]")
    found = say("release", "list", "--json").document
    assert [(r["project"], r["channel"], r["state"]) for r in found] == [
        ("api", "hotfix", "created"),
        ("web", None, "succeeded"),
    ]
    assert found[1]["deployments"] == [{"id": "dep-1", "environment": "QA", "state": "succeeded"}]
    assert (found[1]["blocked_by"], found[1]["blocked_reason"]) == ("carol", "it [leaks]")
    _, api, web = say("release", "list").out.splitlines()
    assert api.split()[:5] == ["rel-2", "api", "1.0", "hotfix", "created"]
    assert "QA succeeded, blocked by carol: it [leaks]" in web
    assert [r["id"] for r in say("release", "list", "--limit", "1", "--json").document] == ["rel-2"]


def test_releases_of_one_project_are_listed(house: House, say: Say) -> None:
    house.create("web", "1.0")
    say("release", "create", "api", "1.0", "--channel", "hotfix")
    of_web = say("release", "list", "--project", "web", "--json").document
    assert [r["project"] for r in of_web] == ["web"]
    assert "did you mean 'web'?" in say("release", "list", "--project", "wbe", code=2).err


# ---- show ----


def test_a_release_tells_where_it_may_go_next(house: House, say: Say) -> None:
    house.create("web", "1.0")
    assert "may be deployed to QA\n" in say("release", "show", "web", "1.0").out
    house.deliver_all()
    assert "may be deployed to Staging, Perf\n" in say("release", "show", "web", "1.0").out
    house.deployments.deploy("web", "1.0", "Perf")
    house.deliver_all()
    shown = say("release", "show", "web", "1.0", "--json").document
    assert shown["may_enter"] == ["Staging", "Production"]


def test_a_release_that_is_blocked_says_so_and_may_go_nowhere(house: House, say: Say) -> None:
    house.create("web", "1.0")
    house.deliver_all()
    say("release", "block", "web", "1.0", "--reason", "it leaks")
    told = say("release", "show", "web", "1.0").out
    assert "blocked by carol: it leaks" in told
    assert "may be deployed" not in told
    shown = say("release", "show", "web", "1.0", "--json").document
    assert (shown["blocked_by"], shown["blocked_reason"]) == ("carol", "it leaks")
    assert shown["may_enter"] == []
