"""``deployment list``, ``show`` and ``log``: what people read of deployments."""

from __future__ import annotations

from typing import Any

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.cli.conftest import Say
from tests.support.fakes import House

# ---- list ----


def test_a_name_that_is_none_is_refused_with_the_nearest(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    for option, name, said in (
        ("--project", "wbe", "there is no project 'wbe'; did you mean 'web'?"),
        ("--environment", "qa", "there is no environment 'qa'; did you mean 'QA'?"),
    ):
        for more in ((), ("--json",)):
            told = say("deployment", "list", option, name, *more, code=2)
            assert said in told.err
            assert told.out == ""


def test_what_is_there_and_has_no_deployment_is_known(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    filters = ("--project", "web", "--environment", "QA")
    assert say("deployment", "list", *filters, "--json").document == []


def test_what_has_left_the_catalog_is_known_by_its_deployments(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    house.create("web")
    there = catalog(project("api", "true\n"), environments=["Lab"])
    there["machines"][0]["environments"] = ["Lab"]
    there["lifecycles"][0]["phases"][0]["automatic"] = ["Lab"]
    house.apply(there)
    for filters in (("--project", "web"), ("--environment", "QA")):
        (found,) = say("deployment", "list", *filters, "--json").document
        assert found["id"] == "dep-1"


FREEZE = {"name": "Year [end]", "environments": ["QA"], "from": "2020-01-01T00:00"}


def frozen() -> dict[str, Any]:
    return catalog(project("web", "true\n"), freezes=[{**FREEZE, "to": "2999-01-01T00:00"}])


def test_what_is_held_and_what_is_scheduled_say_so(house: House, say: Say) -> None:
    house.apply(frozen())
    house.create("web")
    at = ("--at", "2099-12-01T18:00+01:00")
    later = say("release", "deploy", "web", "1.0", "QA", *at).out
    _, second, first = say("deployment", "list").out.splitlines()
    assert first.rstrip().endswith("queued  frozen by Year [end]")
    assert "queued  scheduled for 2099-12-01 " in second
    assert "queued, scheduled for 2099-12-01 " in later
    assert "queued  (frozen by Year [end])" in say("release", "show", "web", "1.0").out


# ---- show ----


def test_a_deployment_tells_on_which_terms_it_was_asked_for(house: House, say: Say) -> None:
    house.apply(frozen())
    house.create("web")
    words = ("--at", "2099-12-01T18:00+01:00", "--expires", "2099-12-02T18:00+01:00")
    say("release", "deploy", "web", "1.0", "QA", *words, "--priority", "2", "--guided")
    told = say("deployment", "show", "dep-2").out
    assert "asked for by carol at " in told
    assert "not before 2099-12-01 " in told
    assert "not to begin after 2099-12-02 " in told
    assert "priority 2" in told
    assert "a failure asks a person" in told
    assert "asked for by its lifecycle at " in say("deployment", "show", "dep-1").out
    say("release", "deploy", "web", "1.0", "QA", "--override-freeze", "a leak")
    assert "overrides freezes: a leak" in say("deployment", "show", "dep-3").out


def test_each_run_tells_why_it_ended_so(house: House, say: Say) -> None:
    process = [
        {"name": "Approve", "kind": "manual", "instructions": "look"},
        step("true\n", "Left out", condition="#{Never}"),
        step("exit 3\n", "Wrong"),
    ]
    variables = [{"name": "Never", "value": "False"}]
    house.apply(catalog(project("web", process=process, variables=variables)))
    house.create("web")
    house.deliver_all()
    say("approve", "dep-1", "--note", "looks [fine]")
    house.carry_on(1)
    house.deliver_all()
    approve, left_out, wrong = say("deployment", "show", "dep-1").out.splitlines()[-3:]
    assert "carol answered proceed: looks [fine]" in approve
    assert "its condition is false" in left_out
    assert house.detail(1).runs[2].message in wrong
    assert "shared" not in approve, "a manual step holds nothing"
    assert "exclusive" in wrong


# ---- log ----


def test_a_log_that_retention_has_removed_says_so(house: House, say: Say) -> None:
    stages = ("QA", "Lab")
    phases = [
        {"name": "QA", "automatic": ["QA"], "keep_releases": 1},
        {"name": "Lab", "manual": ["Lab"], "keep_releases": 9},
    ]
    house.apply(
        catalog(
            project("web", "echo hello\n"),
            environments=list(stages),
            machines=[machine(f"{name}-1".lower(), name) for name in stages],
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    for version in ("1.0", "2.0", "3.0", "4.0"):
        house.create("web", version)
        house.deliver_all()
        house.deployments.deploy("web", version, "Lab")
        house.deliver_all()
    assert "hello" in say("deployment", "log", "dep-1").out
    say("retention", "apply")
    told = say("deployment", "log", "dep-1")
    assert (told.out, told.err) == ("", "dep-1: retention has removed the log\n")
    assert say("deployment", "log", "dep-1", "--json").document["removed"] is True
    assert say("deployment", "log", "dep-8").err == ""
    assert say("deployment", "log", "dep-8", "--json").document["removed"] is False


def test_a_script_that_prints_nothing_is_no_removed_log(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    house.create("web")
    house.deliver_all()
    assert say("deployment", "log", "dep-1").err == "dep-1: nothing was printed\n"
