"""``why``: what is told of something that waits, and of something that does not."""

from __future__ import annotations

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.cli.conftest import Say
from tests.support.fakes import House


def test_where_nobody_holds_the_one_in_front_is_named(house: House, say: Say) -> None:
    """Run 2 waits for the machine of run 1, and so keeps a free database from run 3."""
    touching = [step("true\n", touches=[{"resource": "db", "everywhere": True}])]
    machines = [machine("qa-1", "QA"), machine("lab-1", "Lab")]
    phases = [{"name": "All", "manual": ["QA", "Lab"]}]
    house.apply(
        catalog(
            project("first", "true\n"),
            *(project(name, process=touching) for name in ("second", "third")),
            environments=["QA", "Lab"],
            machines=machines,
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    for name, environment in (("first", "QA"), ("second", "QA"), ("third", "Lab")):
        say("release", "create", name, "1.0")
        house.deployments.deploy(name, "1.0", environment)
    house.deliver_chains()
    (wait,) = say("why", "dep-3", "--json").document
    assert (wait["reason"], wait["holders"], wait["position"]) == ("resource", [], 2)
    assert (wait["behind"]["run"], wait["behind"]["position"]) == ("run-2", 1)
    told = say("why", "dep-3").out
    assert "behind run-2 (second 1.0 → QA · Install on qa-1), which has waited for " in told


def test_what_has_ended_says_how(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "exit 3\n", supersede=True)))
    house.create("web", "1.0")
    house.deliver_all()
    house.create("web", "2.0")
    house.create("web", "3.0")
    house.deliver_all()
    assert say("why", "dep-2").out == "dep-2 has ended: superseded by 3.0\n"
    assert (
        say("why", "run-1").out == f"run-1 has ended: failed, {house.detail(1).runs[0].message}\n"
    )
    assert say("why", "rel-1").out == "rel-1 waits for nothing: QA failed\n"
    assert say("why", "dep-2", "--json").document == []


def test_what_runs_and_what_nobody_has_deployed_say_so(house: House, say: Say) -> None:
    phases = [{"name": "QA", "manual": ["QA"]}]
    lifecycles = [{"name": "auto", "phases": phases}]
    house.apply(catalog(project("web", "true\n"), lifecycles=lifecycles))
    say("release", "create", "web", "1.0")
    assert say("why", "rel-1").out == "rel-1 has not been deployed yet\n"
    house.deployments.deploy("web", "1.0", "QA")
    with house.database.write() as tx:
        assert tx.deployments.begin(1, house.clock.now())
        tx.runs.give_up_pending(1, "succeeded", house.clock.now())  # type: ignore[arg-type]
    assert say("why", "dep-1").out == "dep-1 is running\n"


def test_a_start_that_is_far_off_is_a_date(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    house.create("web")
    say("release", "deploy", "web", "1.0", "QA", "--at", "2099-12-01T18:00+01:00")
    assert "expected to start at 2099-12-01 " in say("why", "dep-2").out
    say("release", "deploy", "web", "1.0", "QA", "--at", "+5m")
    assert "expected to start in about 300 s" in say("why", "dep-3").out


def test_a_question_says_whose_answer_it_waits_for(house: House, say: Say) -> None:
    manual = {"name": "Approve", "kind": "manual", "instructions": "look"}
    house.apply(
        catalog(
            project("web", process=[{**manual, "responsible": ["ann", "bob"]}]),
            project("api", process=[manual]),
        )
    )
    house.create("web")
    house.create("api")
    house.deliver_all()
    assert "waits for the answer of ann or bob: shall run-1 proceed?" in say("why", "dep-1").out
    assert "waits for an answer: shall run-2 proceed?" in say("why", "dep-2").out
