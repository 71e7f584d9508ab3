"""Machines that people take out of use: new deployments go without them, and say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import RunState
from deployengine.domain.errors import UnknownName
from deployengine.domain.selection import Selection
from deployengine.engine.endings import Outcome
from deployengine.engine.intake import NoMachines, Terms
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from deployengine.engine.roster import NotEnabled
from tests.acceptance.catalogs import catalog, machine, project, step, three_stages
from tests.engine.test_again import MANUAL, SAID, ran, state
from tests.engine.test_left_out import claimed
from tests.engine.test_stages import rolling, states
from tests.support.fakes import House

TWO = [machine("m-[1:2]", "QA"), machine("other", "QA", roles=["db"])]
DISABLED, DRAINING, ENABLED = MachineMode.DISABLED, MachineMode.DRAINING, MachineMode.ENABLED


def made(house: House, *process: dict[str, Any], **more: Any) -> None:
    """A release of a project that is deployed by hand."""
    steps = [{"roles": ["web"], **each} for each in process or [step(SAID)]]
    house.apply(catalog(project("app", process=steps, **more), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))


def deploy(house: House, *machines: str) -> int:
    terms = Terms(selection=Selection(machines=machines))
    return house.deployments.deploy("app", "1.0", "QA", terms).id


def disable(house: House, *names: str) -> list[str]:
    return changed(house, names, DISABLED, "ada", "new disk")


def changed(
    house: House, names: Sequence[str], mode: MachineMode, who: str, reason: str | None = None
) -> list[str]:
    """The machines of which this was not wanted before."""
    changes = house.machines.set_mode(names, mode, reason, who)
    return [each.machine for each in changes if each.changed]


def message(house: House, number: int = 1) -> str | None:
    return house.detail(number).deployment.message


def test_a_deployment_goes_without_no_machine_that_has_no_part_in_it(house: House) -> None:
    elsewhere = step(SAID, "Two", roles=["db"], exclude_environments=["QA"])
    made(house, step(SAID, "One"), elsewhere)
    disable(house, "other")
    assert house.detail(deploy(house)).deployment.without == {}


@pytest.mark.parametrize("mode", [DISABLED, DRAINING])
def test_a_new_deployment_goes_without_a_machine_that_is_not_enabled_and_says_so(
    house: House, mode: MachineMode
) -> None:
    made(house)
    house.machines.set_mode(["m-2", "other"], mode, None, "ada")
    number = deploy(house)
    assert house.detail(number).deployment.without == {"m-2": mode}, "the other has no such role"
    house.deliver_all()
    assert states(house, number) == {("Install", "m-1"): "succeeded"}
    assert (state(house, number), message(house)) == ("succeeded", "without m-2")
    with house.database.read() as tx:
        assert [(a.machine, a.why) for a in tx.absences.all()] == [("m-2", mode)]


def test_a_machine_that_is_not_enabled_cannot_be_asked_for_by_name(house: House) -> None:
    made(house)
    disable(house, "m-2")
    with pytest.raises(NotEnabled, match=r"m-2 was disabled by ada \(new disk\)") as refused:
        deploy(house, "m-1", "m-2")
    assert "deployengine machine enable m-2" in str(refused.value)
    house.machines.set_mode(["m-2"], DRAINING, None, "ada")
    with pytest.raises(NotEnabled, match="m-2 is being drained by ada"):
        deploy(house, "m-2")
    assert deploy(house, "m-1") == 1


def test_where_no_machine_is_enabled_nothing_is_deployed(house: House) -> None:
    made(house)
    disable(house, "m-1", "m-2")
    with pytest.raises(NoMachines, match="no machine in QA that is enabled: m-1 is disabled, m-2"):
        deploy(house)


def test_a_promotion_to_where_no_machine_is_enabled_fails_and_says_why(house: House) -> None:
    house.apply(three_stages(project("app", SAID)))
    disable(house, "stg-1", "stg-2")
    house.create("app")
    house.deliver_all()
    assert (state(house, 1), state(house, 2)) == ("succeeded", "failed")
    assert "no machine in Staging that is enabled" in (message(house, 2) or "")


def test_what_has_not_begun_on_a_machine_that_is_disabled_is_left_out(house: House) -> None:
    made(house, step(SAID, "One"), step(SAID, "Two"))
    number = deploy(house)
    house.deliver_chains()
    assert disable(house, "m-2") == ["m-2"]
    assert states(house, number)["One", "m-2"] == "skipped"
    house.deliver_all()
    assert (ran(house, "m-1"), ran(house, "m-2")) == (["One", "Two"], [])
    assert (state(house, number), message(house)) == ("succeeded", "without m-2")
    assert house.held() == {}


def test_what_runs_on_a_machine_that_is_disabled_runs_to_its_end_and_nothing_follows(
    house: House,
) -> None:
    made(house, step(SAID, "One", retries=3), step(SAID, "Two"))
    number = deploy(house)
    house.deliver_chains()
    runs = {run.label.split()[-1]: run for run in house.dispatcher.take_runs()}
    running = claimed(house, runs["m-2"])
    disable(house, "m-2")
    house.execute(runs["m-1"])
    house.step_runs._endings.conclude(running, Outcome(RunState.FAILED, 1))
    house.deliver_all()
    assert states(house, number)["One", "m-2"] == "failed"
    assert (state(house, number), message(house)) == ("succeeded", "without m-2")
    assert [run.attempt for run in house.detail(number).runs if run.machine == "m-2"] == [1, 1]
    assert ran(house, "m-2") == []
    assert house.held() == {}


def test_what_a_lost_worker_never_began_on_a_machine_that_is_disabled_does_not_count(
    house: House,
) -> None:
    made(house, step(SAID, "One"), step(SAID, "Two"))
    number = deploy(house)
    house.deliver_chains()
    runs = {run.label.split()[-1]: run for run in house.dispatcher.take_runs()}
    house.execute(runs["m-1"])
    house.lease.beat()
    found = house.step_runs.claims.claim(runs["m-2"].run_id, runs["m-2"].granted_at, "gone")
    assert found is not None
    disable(house, "m-2")
    (orphan,) = house.step_runs.claims.orphans(house.lease.name, house.lease.place)
    inherited = house.step_runs.claims.take_over(orphan, house.lease.name)
    assert inherited is not None
    house.step_runs.pick_up(inherited)
    house.deliver_all()
    assert states(house, number)["One", "m-2"] == "cancelled"
    assert (state(house, number), message(house)) == ("succeeded", "without m-2")


def test_a_further_attempt_on_a_machine_that_is_disabled_does_not_begin(house: House) -> None:
    made(house, step(SAID, retries=1))
    number = deploy(house)
    house.deliver_chains()
    runs = {run.label.split()[-1]: run for run in house.dispatcher.take_runs()}
    running = claimed(house, runs["m-2"])
    disable(house, "m-2")  # nothing else of it is to come there
    house.execute(runs["m-1"])
    house.step_runs._endings.conclude(running, Outcome(RunState.FAILED, 1))
    house.deliver_all()
    first, second = (run for run in house.detail(number).runs if run.machine == "m-2")
    assert (first.state, second.state) == (RunState.FAILED, RunState.SKIPPED)
    assert (ran(house, "m-2"), message(house)) == ([], "without m-2")


def test_a_machine_that_is_drained_finishes_what_was_planned_there(house: House) -> None:
    made(house, step(SAID, "One"), step(SAID, "Two"))
    number = deploy(house)
    house.deliver_chains()
    house.machines.set_mode(["m-2"], DRAINING, None, "ada")
    assert {view.machine.name: view.busy for view in house.machines.all()}["m-2"] == 2
    house.deliver_all()
    assert ran(house, "m-2") == ["One", "Two"]
    assert (state(house, number), message(house)) == ("succeeded", None)
    assert {view.machine.name: view.busy for view in house.machines.all()}["m-2"] == 0


def test_the_next_machine_of_a_group_has_its_turn_when_one_is_disabled(house: House) -> None:
    made(house, rolling(step(SAID, "Stop"), step(SAID, "Start"), max_parallel=1))
    deploy(house)
    house.deliver_chains()
    disable(house, "m-1")
    house.deliver_all()
    assert (ran(house, "m-1"), ran(house, "m-2")) == ([], ["Stop", "Start"])


def test_what_asks_on_a_machine_that_is_disabled_asks_no_more(house: House) -> None:
    made(house, step('[ "$DEPLOYENGINE_MACHINE" = m-1 ]\n'), guided_failure=True)
    number = deploy(house)
    house.deliver_all()
    assert len(house.queries.inbox()) == 1
    disable(house, "m-2")
    house.deliver_all()
    assert (house.queries.inbox(), state(house, number)) == ([], "succeeded")


def test_a_deployment_that_waits_for_a_time_goes_without_a_machine_that_was_disabled(
    house: House,
) -> None:
    made(house)
    disable(house, "m-1")
    number = deploy(house)
    disable(house, "m-2")
    house.deliver_all()
    assert (state(house, number), message(house)) == (
        "failed",
        "every machine of Install was left out",
    )


def test_a_deployment_that_is_being_cancelled_is_left_alone(house: House) -> None:
    made(house, step(SAID, "One"), step(SAID, "Two"))
    number = deploy(house)
    house.deliver_chains()
    house.deployments.cancel(number)
    disable(house, "m-2")
    house.deliver_all()
    assert state(house, number) == "cancelled"


def test_to_want_the_same_again_changes_nothing_and_is_not_put_on_record(house: House) -> None:
    made(house)
    assert disable(house, "m-1", "m-2") == ["m-1", "m-2"]
    assert disable(house, "m-2") == []
    assert changed(house, ["m-1", "m-2"], ENABLED, "bob") == ["m-1", "m-2"]
    entries = house.audit_trail.latest(10, subject="machine m-2")
    events = [entry.event for entry in entries if entry.event]
    assert [(e.who, e.action, e.reason, e.before, e.after) for e in events] == [
        ("bob", "machine.enable", None, {"mode": "disabled"}, {"mode": "enabled"}),
        ("ada", "machine.disable", "new disk", {"mode": "enabled"}, {"mode": "disabled"}),
    ]


def test_a_name_that_is_not_in_the_catalog_changes_nothing(house: House) -> None:
    made(house)
    with pytest.raises(UnknownName, match="did you mean 'm-1'"):
        disable(house, "m-1", "m1")
    assert house.machines.all()[0].known.mode is ENABLED


def test_what_was_known_of_a_machine_goes_with_it(house: House) -> None:
    made(house)
    disable(house, "m-2")
    deploy(house)
    house.apply(catalog(project("app", SAID), machines=[machine("m-1", "QA")], lifecycles=MANUAL))
    house.apply(catalog(project("app", SAID), machines=TWO, lifecycles=MANUAL))
    (_, view, _) = house.machines.all()
    assert (view.known.mode, view.known.state, len(view.missed)) == (ENABLED, Health.UNKNOWN, 0)


def test_a_retry_goes_without_a_machine_that_was_disabled_since(house: House) -> None:
    made(house, step("exit 1\n", "One"))
    number = deploy(house)
    house.deliver_all()
    disable(house, "m-2")
    again = house.again.retry(number, Terms()).id
    assert house.detail(again).deployment.without == {"m-2": "disabled"}
    assert [run.machine for run in house.detail(again).runs] == ["m-1"]


def test_guidance_excludes_a_machine_as_before(house: House) -> None:
    """What was left out for a failure is nothing that it catches up with."""
    made(house, step('[ "$DEPLOYENGINE_MACHINE" = m-1 ]\n'), guided_failure=True)
    deploy(house)
    house.deliver_all()
    (asked,) = house.queries.inbox()
    house.answers.answer(asked.run.id, Answer.EXCLUDE, "ann")
    house.deliver_all()
    with house.database.read() as tx:
        assert tx.absences.all() == []
