"""Machines that come back get what is there by now: once, and never what is older than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.availability import MachineMode
from deployengine.domain.selection import Selection
from deployengine.engine.intake import PLAIN, Terms
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.engine.conftest import at_once
from tests.engine.test_again import MANUAL
from tests.support.machines import NetworkedHouse

SAID = 'echo "$DEPLOYENGINE_RELEASE" >> ran\n'
TWO = [machine("m-[1:2]", "QA")]
ALWAYS = {"from": "2020-01-01T00:00", "to": "2090-01-01T00:00"}


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[NetworkedHouse]:
    """An engine whose machines come and go, and a project that skips those that are away."""
    with NetworkedHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        made(house)
        yield house


def made(house: NetworkedHouse, *process: dict[str, Any], **more: Any) -> None:
    steps = list(process) or [step(SAID)]
    parts = {"machines": TWO, "lifecycles": MANUAL, **more.pop("parts", {})}
    house.apply(
        catalog(project("app", process=steps, unavailable_machines="skip", **more), **parts)
    )


def deployed(house: NetworkedHouse, version: str = "1.0", terms: Terms = PLAIN) -> int:
    """A deployment of a release, carried as far as it goes."""
    house.releases.create(Wanted("app", version))
    number = house.deployments.deploy("app", version, "QA", terms).id
    house.deliver_all()
    return number


def missed(house: NetworkedHouse, version: str = "1.0") -> None:
    """The release is everywhere but on m-2, which cannot be reached."""
    house.network.cut("m-2")
    deployed(house, version)
    assert ran(house, "m-2") == []


def back(house: NetworkedHouse, name: str = "m-2") -> None:
    """It can be reached again, and somebody looks."""
    house.network.mend(name)
    assert house.check(name) == {name: "healthy"}


def ran(house: NetworkedHouse, name: str) -> list[str]:
    path = house.workdir(name) / "ran"
    return path.read_text().split() if path.exists() else []


def deployments(house: NetworkedHouse) -> list[str]:
    with house.database.read() as tx:
        return [f"{d.version} {d.state}" for d in reversed(tx.deployments.some("app"))]


def absences(house: NetworkedHouse) -> list[tuple[str, int]]:
    with house.database.read() as tx:
        return [(each.machine, each.deployment_id) for each in tx.absences.all()]


def test_a_machine_that_is_back_gets_the_release_that_it_was_left_out_of(
    house: NetworkedHouse,
) -> None:
    missed(house)
    assert absences(house) == [("m-2", 1)]
    back(house)
    house.deliver_all()
    assert (ran(house, "m-1"), ran(house, "m-2")) == (["1.0"], ["1.0"])
    asked = house.detail(2).deployment
    assert (asked.selection, asked.catches_up) == (Selection(machines=("m-2",)), True)
    assert (asked.requested_by, asked.state, absences(house)) == ("deployengine", "succeeded", [])
    event = house.audit_trail.latest(1, subject="dep-2")[0].event
    assert event is not None
    assert (event.who, event.action) == ("deployengine", "machine.catch-up")
    assert event.before == {"went_without": ["dep-1"]}


def test_it_catches_up_once_however_often_somebody_looks(house: NetworkedHouse) -> None:
    missed(house)
    back(house)
    for _ in range(3):
        house.look_at_machines()
        house.check()
        house.deliver_all()
    assert deployments(house) == ["1.0 succeeded", "1.0 succeeded"]


def test_of_many_who_look_at_once_one_has_it_catch_up(house: NetworkedHouse) -> None:
    missed(house)
    house.on_return_does_nothing()
    back(house)
    with house.neighbour() as other:
        found = at_once(house.catching_up.look, other.catching_up.look)
    assert sum(len(each) for each in found) == 1
    assert absences(house) == []


def test_a_machine_that_is_enabled_again_catches_up_once_it_is_found_healthy(
    house: NetworkedHouse,
) -> None:
    house.machines.set_mode(["m-2"], MachineMode.DISABLED, None, "ada")
    deployed(house)
    house.check("m-2")
    house.look_at_machines()
    assert deployments(house) == ["1.0 succeeded"], "it is disabled"
    house.machines.set_mode(["m-2"], MachineMode.ENABLED, None, "ada")
    house.catching_up.look()
    assert deployments(house) == ["1.0 succeeded"], "nobody has looked yet"
    house.look_at_machines()
    house.deliver_all()
    assert ran(house, "m-2") == ["1.0"]


def test_it_gets_what_is_there_now_and_not_what_it_was_left_out_of(
    house: NetworkedHouse,
) -> None:
    missed(house)
    deployed(house, "2.0")
    assert absences(house) == [("m-2", 1), ("m-2", 2)]
    back(house)
    house.deliver_all()
    assert ran(house, "m-2") == ["2.0"]
    assert deployments(house)[2:] == ["2.0 succeeded"]


def test_nothing_comes_where_what_is_there_has_reached_the_machine_already(
    house: NetworkedHouse,
) -> None:
    missed(house)
    house.on_return_does_nothing()
    back(house)
    house.again.catch_up("app", "1.0", "QA", PLAIN)
    house.deliver_all()
    house.look_at_machines()
    assert deployments(house) == ["1.0 succeeded", "1.0 succeeded"]
    assert (ran(house, "m-2"), absences(house)) == (["1.0"], [])


def test_nothing_comes_where_a_newer_release_has_reached_the_machine(
    house: NetworkedHouse,
) -> None:
    missed(house)
    house.on_return_does_nothing()
    back(house)
    deployed(house, "2.0")
    house.look_at_machines()
    assert deployments(house) == ["1.0 succeeded", "2.0 succeeded"]
    assert (ran(house, "m-2"), absences(house)) == (["2.0"], [])


@pytest.mark.parametrize("begun", [True, False])
def test_while_something_is_under_way_there_it_waits_for_what_that_comes_to(
    house: NetworkedHouse, begun: bool
) -> None:
    missed(house)
    house.releases.create(Wanted("app", "2.0"))
    house.deployments.deploy("app", "2.0", "QA")
    if begun:
        house.deliver_chains()
    back(house)
    assert len(deployments(house)) == 2
    house.deliver_all()
    house.look_at_machines()
    assert ran(house, "m-2") == ["2.0"]
    assert (len(deployments(house)), absences(house)) == (2, [])


def test_what_is_to_come_at_a_later_time_is_not_waited_for(house: NetworkedHouse) -> None:
    missed(house)
    house.releases.create(Wanted("app", "2.0"))
    later = house.clock.now().replace(year=house.clock.now().year + 1)
    house.deployments.deploy("app", "2.0", "QA", Terms(not_before=later))
    back(house)
    house.deliver_all()
    assert ran(house, "m-2") == ["1.0"]


def test_where_the_latest_deployment_went_wrong_nobody_knows_what_is_there(
    house: NetworkedHouse,
) -> None:
    missed(house)
    made(house, step("exit 1\n"))
    deployed(house, "2.0")
    back(house)
    house.look_at_machines()
    assert deployments(house) == ["1.0 succeeded", "2.0 failed"]
    assert absences(house) == [("m-2", 1), ("m-2", 2)]
    made(house, step(SAID))
    deployed(house, "3.0")
    house.look_at_machines()
    assert (ran(house, "m-2"), absences(house)) == (["3.0"], [])


def test_after_a_rollback_it_gets_what_was_gone_back_to_although_it_had_that_before(
    house: NetworkedHouse,
) -> None:
    deployed(house, "1.0")
    deployed(house, "2.0")
    house.network.cut("m-2")
    house.again.roll_back("app", "QA", None, PLAIN)
    house.deliver_all()
    back(house)
    house.deliver_all()
    assert ran(house, "m-1") == ran(house, "m-2") == ["1.0", "2.0", "1.0"]


def test_what_it_never_got_is_nothing_to_come_back_from(house: NetworkedHouse) -> None:
    deployed(house, "1.0")
    house.network.cut("m-2")
    deployed(house, "2.0")
    house.again.roll_back("app", "QA", None, PLAIN)
    house.deliver_all()
    back(house)
    house.look_at_machines()
    house.deliver_all()
    assert (ran(house, "m-2"), absences(house)) == (["1.0"], [])


def test_what_somebody_deployed_to_one_machine_alone_is_not_what_is_there(
    house: NetworkedHouse,
) -> None:
    missed(house)
    deployed(house, "2.0", Terms(selection=Selection(machines=("m-1",))))
    back(house)
    house.deliver_all()
    assert ran(house, "m-2") == ["1.0"]


def test_steps_that_somebody_skipped_are_skipped_there_too(house: NetworkedHouse) -> None:
    made(house, step('echo "one" >> ran\n', "One"), step(SAID, "Two"))
    house.network.cut("m-2")
    deployed(house, "1.0", Terms(selection=Selection(skip=("One",))))
    back(house)
    house.deliver_all()
    assert ran(house, "m-1") == ran(house, "m-2") == ["1.0"]


def test_what_was_given_for_prompts_is_given_again(house: NetworkedHouse) -> None:
    asked = {"name": "Word", "value": "", "prompt": {"label": "Word", "required": True}}
    made(house, step('echo "#{Word}" >> ran\n'), variables=[asked])
    house.network.cut("m-2")
    deployed(house, "1.0", Terms(values={"Word": "please"}))
    back(house)
    house.deliver_all()
    assert ran(house, "m-2") == ["please"]


def test_in_a_freeze_it_waits_for_the_end_of_that(house: NetworkedHouse) -> None:
    missed(house)
    made(house, parts={"freezes": [{"name": "all", **ALWAYS}]})
    back(house)
    house.look_at_machines()
    assert (len(deployments(house)), absences(house)) == (1, [("m-2", 1)])
    made(house)
    house.look_at_machines()
    house.deliver_all()
    assert ran(house, "m-2") == ["1.0"]


def test_what_has_been_overtaken_before_it_begins_makes_way(house: NetworkedHouse) -> None:
    missed(house)
    back(house)
    asked = house.dispatcher.take_chains()
    made(house, parts={"freezes": [{"name": "all", **ALWAYS}]})
    for chain in asked:
        house.carry(chain)
    assert house.detail(2).deployment.frozen_by == "all"
    deployed(house, "2.0", Terms(override_freeze="it must be"))
    made(house)
    house.calendar.look()
    house.deliver_all()
    assert ran(house, "m-2") == ["2.0"]
    late = house.detail(2).deployment
    assert (late.state, late.message) == ("superseded", "release 2.0 is there by now")


def test_a_machine_that_is_away_again_is_missed_again(house: NetworkedHouse) -> None:
    missed(house)
    back(house)
    house.network.cut("m-2")
    house.deliver_all()
    assert deployments(house) == ["1.0 succeeded", "1.0 failed"]
    assert absences(house) == [("m-2", 2)]
    back(house)
    house.deliver_all()
    assert (ran(house, "m-2"), absences(house)) == (["1.0"], [])


def test_machines_that_are_back_together_catch_up_together(house: NetworkedHouse) -> None:
    made(house, parts={"machines": [machine("m-[1:4]", "QA")]})
    house.network.cut("m-2", "m-3", "m-4")
    deployed(house)
    house.on_return_does_nothing()
    house.network.mend("m-2", "m-3")
    house.check("m-2", "m-3")
    (found,) = house.catching_up.look()
    assert found.selection.machines == ("m-2", "m-3")
    assert absences(house) == [("m-4", 1)]


def test_a_machine_that_has_left_the_environment_has_missed_nothing(
    house: NetworkedHouse,
) -> None:
    missed(house)
    moved = [machine("m-1", "QA"), machine("m-2", "Staging")]
    made(house, parts={"machines": moved, "environments": ["QA", "Staging"]})
    back(house)
    assert (len(deployments(house)), absences(house)) == (1, [])


def test_a_release_that_may_not_go_there_any_more_is_told_once_and_tried_again(
    house: NetworkedHouse, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"name": "Word", "value": "", "prompt": {"label": "Word", "required": True}}
    missed(house)
    made(house, step(SAID), variables=[asked])
    house.releases.refresh("app", "1.0", "ada")
    back(house)
    house.look_at_machines()
    told = [r.message for r in caplog.records if "cannot catch up" in r.message]
    assert len(told) == 1
    assert told[0].startswith("m-2 cannot catch up with app: ")
    assert absences(house) == [("m-2", 1)]


def test_who_has_failed_to_catch_up_tries_again_after_the_next_look_and_not_before(
    house: NetworkedHouse,
) -> None:
    made(house, step(f"{SAID}[ ! -e broken ]\n"))
    missed(house)
    house.workdir("m-2").mkdir(parents=True)
    (house.workdir("m-2") / "broken").touch()
    back(house)
    house.deliver_all()
    assert deployments(house) == ["1.0 succeeded", "1.0 failed"]
    house.catching_up.look()
    house.deliver_all()
    assert absences(house) == [("m-2", 2)], "nobody has looked at the machine since"
    (house.workdir("m-2") / "broken").unlink()
    house.clock.advance(1)
    house.check("m-2")
    house.catching_up.look()
    house.deliver_all()
    assert deployments(house) == ["1.0 succeeded", "1.0 failed", "1.0 succeeded"]
    assert absences(house) == []


def test_what_was_missed_of_a_release_that_came_nowhere_is_not_forgotten(
    house: NetworkedHouse,
) -> None:
    house.machines.set_mode(["m-2"], MachineMode.DISABLED, None, "ada")
    house.releases.create(Wanted("app", "1.0"))
    house.deployments.deploy("app", "1.0", "QA")
    house.deployments.cancel(1)
    house.machines.set_mode(["m-2"], MachineMode.ENABLED, None, "ada")
    house.check()
    house.catching_up.look()
    assert (deployments(house), absences(house)) == (["1.0 cancelled"], [("m-2", 1)])


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("true\n", None),
        ("false\n", "dep-2, the last one there, failed: first a deployment must succeed"),
    ],
)
def test_why_a_machine_does_not_catch_up_is_told(
    house: NetworkedHouse, script: str, told: str | None
) -> None:
    missed(house)
    made(house, step(script))
    deployed(house, "2.0")
    (view,) = house.machines.all(["m-2"])
    assert {each.hindrance for each in view.missed} == {told}
