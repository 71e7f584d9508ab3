"""``batch``: what is told while it is waited for, and when nobody waits any longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step, three_stages
from tests.cli.conftest import Say
from tests.support.fakes import House


def rows(text: str) -> str:
    Path("batch.csv").write_text(f"project,version\n{text}")
    return "batch.csv"


def test_options_of_waiting_may_come_before_it(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    file = rows("web,1.0\n")
    for words in (("--timeout", "0", "--wait"), ("--wait", "--timeout", "0")):
        assert "gave up waiting" in say("batch", "run", file, *words, code=4).err


def test_who_gives_up_waiting_has_the_report_of_what_is_known(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    words = ("batch", "run", rows("web,1.0\n"), "--wait", "--timeout", "0", "--html", "page.html")
    told = say(*words, code=4)
    assert told.out == ""
    assert "web" in Path("page.html").read_text()


APPROVE = {"name": "Approve", "kind": "manual", "instructions": "look at it"}


WATCH = ("batch", "run", "batch.csv", "--name", "nightly", "--wait", "--timeout", "0")


@pytest.fixture
def nightly(house: House) -> House:
    """A batch of two releases: one has gone to its end, the other one asks in QA."""
    careful = project("api", process=[APPROVE, step("true\n")])
    house.apply(three_stages(project("web", "true\n"), careful))
    rows("web,1.0\napi,1.0\n")
    house.batches.run([Row(Wanted("web", "1.0")), Row(Wanted("api", "1.0"))], "nightly")
    house.deliver_all()
    return house


def test_an_approval_is_waited_for_and_nothing_of_it_has_failed(nightly: House, say: Say) -> None:
    told = say(*WATCH, code=4).err
    assert told.startswith("QA 1/3, Staging 2/5, Production 4/9 · 0 running, ")
    assert ", 1 waiting for an answer\n" in told, "and nobody knows for how long"
    assert "shall run-2 proceed?" in told


def test_what_was_cancelled_has_no_time_left(nightly: House, say: Say) -> None:
    nightly.batches.cancel("nightly")
    nightly.deliver_all()
    words = [word for word in WATCH if word not in ("--timeout", "0")]
    told = say(*words, code=1).err
    assert told.startswith("QA 3/3, Staging 2/5, ")
    assert " s left" not in told


def test_space_around_its_name_is_never_meant(nightly: House, say: Say) -> None:
    assert say("batch", "show", " nightly ", "--json").document["name"] == "nightly"


def test_a_batch_that_is_being_cancelled_says_how_much_still_ends(nightly: House, say: Say) -> None:
    """The approval is withdrawn at once; that the chain comes to its end takes a message."""
    said = say("batch", "cancel", "nightly").out
    assert said == "batch nightly: being cancelled, 1 deployment is still ending\n"
    nightly.carry_on(2)
    nightly.deliver_all()
    assert say("batch", "cancel", "nightly").out == "batch nightly: cancelled\n"


# ---- show ----


@pytest.fixture
def half(house: House) -> House:
    """A batch of two releases: one has gone as far as it goes by itself, and so has the other."""
    by_hand = [{"name": "QA", "automatic": ["QA"]}, {"name": "Lab", "manual": ["Lab"]}]
    wholly = [{"name": "Lab", "manual": ["Lab"]}]
    house.apply(
        catalog(
            project("web", "true\n"),
            project("api", "true\n", lifecycle="wholly"),
            environments=["QA", "Lab"],
            machines=[machine("qa-1", "QA"), machine("lab-1", "Lab")],
            lifecycles=[{"name": "auto", "phases": by_hand}, {"name": "wholly", "phases": wholly}],
        )
    )
    house.batches.run([Row(Wanted("web", "1.0")), Row(Wanted("api", "1.0"))], "nightly")
    house.deliver_all()
    return house


def test_a_release_that_nothing_deploys_by_itself_is_told(half: House, say: Say) -> None:
    told = say("batch", "show", "nightly").out
    assert "created, and to be deployed by somebody: api 1.0\n" in told
    counts = say("batch", "show", "nightly", "--json").document["counts"]
    assert counts == {"succeeded": 1, "created": 1}


def test_what_people_ask_for_later_is_no_part_of_what_the_batch_took(half: House, say: Say) -> None:
    before = say("batch", "show", "nightly", "--json").document
    half.clock.advance(86_400)
    for name in ("web", "api"):
        half.deployments.deploy(name, "1.0", "Lab")
        half.deliver_all()
    after = say("batch", "show", "nightly", "--json").document
    assert after["makespan_seconds"] == before["makespan_seconds"] < 3600
    assert [e["environment"] for e in after["environments"]] == ["QA"]
    assert [d["environment"] for d in after["releases"][0]["deployments"]] == ["QA", "Lab"]


def test_what_people_ask_for_while_it_is_under_way_is_part_of_it(half: House, say: Say) -> None:
    half.batches.run([Row(Wanted("web", "2.0"))], "second")
    half.deployments.deploy("web", "2.0", "QA")
    half.deliver_all()
    shown = say("batch", "show", "second", "--json").document
    assert [e["runs"] for e in shown["environments"]] == [2]


def test_a_retry_that_makes_good_what_failed_is_part_of_it_and_no_further_one(
    house: House, say: Say
) -> None:
    house.apply(catalog(project("web", "test -e mended\n")))
    house.batches.run([Row(Wanted("web", "1.0"))], "nightly")
    house.deliver_all()
    (house.workdir("qa-1") / "mended").touch()
    for _ in range(3):
        house.clock.advance(60)
        house.deployments.deploy("web", "1.0", "QA")
        house.deliver_all()
    shown = say("batch", "show", "nightly", "--json").document
    assert shown["state"] == "succeeded"
    assert [e["runs"] for e in shown["environments"]] == [2]


# ---- list ----


def test_batches_are_listed_the_newest_first(nightly: House, say: Say) -> None:
    nightly.batches.run([Row(Wanted("web", "2.0"))], "second")
    found = say("batch", "list", "--json").document
    assert [(b["name"], b["state"], b["counts"]) for b in found] == [
        ("second", "running", {"queued": 1}),
        ("nightly", "running", {"succeeded": 1, "running": 1}),
    ]
    assert [b["name"] for b in say("batch", "list", "--limit", "1", "--json").document] == [
        "second"
    ]
    told = say("batch", "list").out.splitlines()[2]
    assert told.split()[:6] == ["nightly", "running", "1", "succeeded,", "1", "running"]


def test_rows_that_lack_something_and_rows_that_name_nothing_are_told_at_once(
    house: House, say: Say
) -> None:
    house.apply(catalog(project("web", "true\n")))
    told = say("batch", "run", rows("web,\nwbe,1\n"), code=2).err
    assert "batch.csv:2: version is missing" in told
    assert "batch.csv:3: there is no project 'wbe'; did you mean 'web'?" in told
