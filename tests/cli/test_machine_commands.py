"""``machine``: how machines are, and which take part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project
from tests.cli.conftest import Say
from tests.engine.test_again import MANUAL
from tests.support.fakes import House

MACHINES = [
    machine("m-[1:3]", "QA"),
    machine("db", "Production", roles=["db"]),
]


@pytest.fixture
def house(house: House) -> House:
    """An engine with four machines and a release that is deployed by hand."""
    parts = {"environments": ["QA", "Production"], "machines": MACHINES, "lifecycles": MANUAL}
    house.apply(catalog(project("app", "true\n"), **parts))
    house.releases.create(Wanted("app", "1.0"))
    return house


def break_(house: House, name: str) -> Path:
    """A machine whose work folder cannot be used: there is a file in its place."""
    folder = house.workdir(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    return folder


def by_name(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in documents}


# ---- check ----


def test_check_tells_how_each_machine_was_found_and_keeps_it(house: House, say: Say) -> None:
    break_(house, "m-2")
    said = say("machine", "check", "--json", code=1)
    found = by_name(said.document)
    assert list(found) == ["m-1", "m-2", "m-3", "db"], "in the order of the catalog"
    assert found["m-2"]["state"] == "unavailable"
    assert "can't be used" in found["m-2"]["message"]
    facts = found["m-1"].pop("facts")
    assert found["m-1"] == {"name": "m-1", "state": "healthy", "message": None}
    assert facts["platform"].startswith("Linux")
    assert (facts["missing"], facts["warnings"]) == ([], [])
    assert facts["free_bytes"] > 0
    assert facts["clock_difference_seconds"] == 0
    assert facts["round_trip_seconds"] > 0
    listed = by_name(say("machine", "list", "--json").document)
    assert {name: each["state"] for name, each in listed.items()} == {
        "m-1": "healthy",
        "m-2": "unavailable",
        "m-3": "healthy",
        "db": "healthy",
    }


def test_check_tells_its_progress_on_stderr_and_people_on_stdout(house: House, say: Say) -> None:
    said = say("machine", "check", "m-1")
    assert said.err == "m-1: healthy\n"
    heading, line = said.out.splitlines()
    assert heading.split() == ["name", "state", "system", "answers", "in", "clock", "free", "said"]
    assert line.split()[:3] == ["m-1", "healthy", "Linux"]


def test_check_takes_names_and_ranges(house: House, say: Say) -> None:
    found = say("machine", "check", "m-[1:2]", "db", "m-2", "--json").document
    assert [each["name"] for each in found] == ["m-1", "m-2", "db"]


@pytest.mark.parametrize("command", ["check", "enable", "disable", "drain", "show"])
def test_a_name_that_is_not_there_is_told_with_the_nearest(
    house: House, say: Say, command: str
) -> None:
    said = say("machine", command, "m1", code=2)
    assert said.err.startswith("there is no machine 'm1'; did you mean 'm-1'?")
    assert all(each["state"] == "unknown" for each in say("machine", "list", "--json").document)


@pytest.mark.parametrize("name", ["m-[1", "m-[3:1]", "m-[1:99999]"])
def test_a_range_that_is_none_is_told(house: House, say: Say, name: str) -> None:
    assert "Invalid value" in say("machine", "disable", name, code=2).err


def test_without_names_disabled_machines_are_left_alone(house: House, say: Say) -> None:
    say("machine", "disable", "m-[1:3]")
    say("machine", "drain", "db")
    found = say("machine", "check", "--json").document
    assert [each["name"] for each in found] == ["db"]
    say("machine", "disable", "db")
    assert say("machine", "check").out == "no machine to look at\n"


# ---- enable, disable, drain ----


def test_disable_says_what_goes_on_without_the_machine(house: House, say: Say) -> None:
    house.deployments.deploy("app", "1.0", "QA")
    house.deliver_chains()
    assert say("machine", "disable", "m-2", "--reason", "new disk").out == (
        "m-2: disabled; left out of dep-1\n"
    )
    assert say("machine", "disable", "m-2", "--json").document == [
        {"name": "m-2", "mode": "disabled", "changed": False, "left_out_of": [], "needed_by": []}
    ]
    assert say("machine", "disable", "m-2").out == "m-2: is disabled already\n"
    shown = say("machine", "show", "m-2")
    assert "m-2 was disabled by carol (new disk) at " in shown.out
    assert "dep-1 went without it (disabled): app 1.0 → QA" in shown.out


def test_a_deployment_says_which_machines_it_goes_without(house: House, say: Say) -> None:
    say("machine", "disable", "m-2")
    say("machine", "drain", "m-3")
    said = say("release", "deploy", "app", "1.0", "QA")
    assert said.err == (
        "warning: without m-2 (disabled), m-3 (draining): "
        "each gets the release once it is enabled and healthy\n"
    )
    assert "without m-2 (disabled), m-3 (draining)" in say("deployment", "show", "dep-1").out
    document = say("deployment", "show", "dep-1", "--json").document
    assert document["without"] == {"m-2": "disabled", "m-3": "draining"}
    refused = say("release", "deploy", "app", "1.0", "QA", "--machine", "m-2", code=2)
    assert refused.err == (
        "m-2 was disabled by carol; leave it out, or: deployengine machine enable m-2\n"
    )


def test_enable_lets_a_machine_take_part_again_which_is_looked_at_next(
    house: House, say: Say
) -> None:
    say("machine", "disable", "m-[1:2]")
    assert say("machine", "enable", "m-[1:2]").out == "m-1: enabled\nm-2: enabled\n"
    house.look_at_machines()
    found = by_name(say("machine", "list", "--json").document)["m-1"]
    assert (found["mode"], found["state"]) == ("enabled", "healthy")


def test_drain_waits_until_nothing_is_to_come_there(house: House, say: Say) -> None:
    house.deployments.deploy("app", "1.0", "QA")
    said = say("machine", "drain", "m-1", "--wait", "--timeout", "0", code=4)
    assert said.err.splitlines() == [
        "still to end there: m-1 1",
        "gave up waiting for the machines to be drained after 0 s",
    ]
    house.deliver_all()
    assert say("machine", "drain", "m-1", "--wait").out == "m-1: is drained already\n"


def test_a_machine_that_has_caught_up_says_so(house: House, say: Say) -> None:
    say("machine", "disable", "m-2")
    house.deployments.deploy("app", "1.0", "QA")
    house.deliver_all()
    assert "1 deployment went without it" in say("machine", "list").out
    say("machine", "enable", "m-2")
    say("machine", "check", "m-2")
    house.deliver_all()
    with house.database.read() as tx:
        (caught_up,) = [d for d in tx.deployments.some("app") if d.catches_up]
    house.carry_on(caught_up.id)
    house.deliver_all()
    shown = say("deployment", "show", f"dep-{caught_up.id}").out
    assert "asked for by deployengine" in shown
    assert "for machines that were left out before" in shown
    assert say("machine", "show", "m-2", "--json").document["missed"] == []


# ---- list, show, doctor ----


def test_list_may_be_of_one_environment(house: House, say: Say) -> None:
    found = say("machine", "list", "--environment", "Production", "--json").document
    assert [each["name"] for each in found] == ["db"]
    assert found[0]["roles"] == ["db"]
    refused = say("machine", "list", "--environment", "Staging", code=2)
    assert refused.err.startswith("there is no environment 'Staging'")


def test_show_tells_all_that_is_known(house: House, say: Say) -> None:
    assert "nobody has looked at it yet" in say("machine", "show", "m-1").out
    say("machine", "check", "m-1")
    lines = say("machine", "show", "m-1").out
    for part in ("m-1: healthy, enabled", "in QA as web", "looked at ", "system: Linux", "free: "):
        assert part in lines
    document = say("machine", "show", "m-1", "--json").document
    assert document["due_at"] > document["checked_at"] >= document["since"]
    assert (document["kind"], document["busy"]) == ("local", 0)


def test_doctor_tells_of_machines_that_could_not_be_used_and_of_those_out_of_use(
    house: House, say: Say
) -> None:
    break_(house, "m-2").unlink()
    break_(house, "m-2")
    say("machine", "check", code=1)
    say("machine", "disable", "m-3", "--reason", "new disk")
    found = say("doctor", "--json", code=1).document
    findings = {each["part"]: each for each in found["findings"]}
    away = findings["unavailable machines"]
    assert (away["fit"], away["found"].startswith("1 unavailable: m-2 (check: work")) == (
        False,
        True,
    )
    assert "deployengine machine check" in away["advice"]
    out = findings["machines out of use"]
    assert (out["fit"], out["found"]) == (True, "m-3 was disabled by carol (new disk)")
