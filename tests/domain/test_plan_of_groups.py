"""Plans of rolling groups: batches, failures, hooks, and what runs on behalf of other machines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.behalf import BadPlace
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.flags import BYPASS
from deployengine.domain.plan import ELSEWHERE, Plan, PlannedStep
from deployengine.domain.planning import Destination, plan
from deployengine.domain.release import Snapshot
from deployengine.domain.selection import Selection
from deployengine.domain.sharing import shared_by_bypass
from deployengine.domain.turns import Pace
from tests.domain.test_plan import EXCLUSIVE, SHARED, Opener, release, sealed, value

WEB = tuple(Machine(f"web-{n}", ("QA",), ("web",)) for n in range(1, 11))
LB = Machine("lb-1", ("Infrastructure",), (), max_concurrent=3)
SWAP = {"name": "Swap", "script": "true"}


def group(**more: Any) -> dict[str, Any]:
    return {"name": "Roll", "kind": "rolling", "steps": [SWAP], **more}


def planned(snapshot: Snapshot, selection: Selection = Selection()) -> Plan:  # noqa: B008
    to = Destination("QA", "first", WEB, everywhere=(*WEB, LB))
    return plan(snapshot, to, Opener(), selection)


def only(*steps: dict[str, Any], variables: tuple[dict[str, Any], ...] = ()) -> PlannedStep:
    (step,) = planned(release(*variables, steps=steps)).steps
    return step


def machines(step: PlannedStep) -> list[str]:
    return [run.machine.name for run in step.runs]


# ---- batches and failures ----


def test_a_group_goes_one_machine_at_a_time_unless_something_is_said() -> None:
    assert only(group()).pace == Pace(1)
    assert only(group()).max_failures is None


def test_after_a_ramp_there_is_no_window_unless_it_is_said() -> None:
    assert only(group(ramp=[1, 5])).pace == Pace(None, (1, 5))
    assert only(group(ramp=[1, 5], max_parallel=2)).pace == Pace(2, (1, 5))


def test_shares_are_those_of_the_machines_of_the_group() -> None:
    assert only(group(ramp=["10%", "25%"])).pace.ramp == (1, 3)
    assert only(group(on_failure="exclude", max_failures="25%")).max_failures == 2


def test_shares_are_those_of_the_machines_that_are_left_in_a_retry() -> None:
    well = tuple(("Swap", machine.name) for machine in WEB[:6])
    made = planned(release(steps=[group(ramp=["50%"])]), Selection(done=well))
    assert machines(made.steps[0]) == [machine.name for machine in WEB[6:]]
    assert made.steps[0].pace.ramp == (2,)


def test_machines_that_only_failures_have_something_to_do_on_are_no_part_of_a_share() -> None:
    undo = {"name": "Undo", "script": "true", "condition": "failure"}
    well = tuple(("Swap", machine.name) for machine in WEB[:6])
    steps = [{**group(ramp=["50%"]), "steps": [SWAP, undo]}]
    made = planned(release(steps=steps), Selection(done=well))
    assert [len(step.runs) for step in made.steps] == [4, 10]
    assert made.steps[0].pace.ramp == (2,)


def test_a_ramp_without_a_window_makes_a_track_whose_runs_wait_for_others() -> None:
    (stage,) = planned(release(steps=[group(ramp=[1])])).stages
    assert stage.compound
    assert stage.tracks[0].pace == Pace(None, (1,))


# ---- hooks ----


def test_hooks_are_the_first_and_the_last_step_of_their_group() -> None:
    said = group(before={"script": "out"}, after={"script": "in", "timeout_seconds": 5.0})
    snapshot = release(steps=[{"name": "First", "script": "true"}, said])
    steps = snapshot.process
    assert [step.name for step in steps] == ["First", "Roll: before", "Swap", "Roll: after"]
    assert [step.script for step in steps[1:]] == ["out", "true", "in"]
    assert (steps[3].timeout_seconds, steps[3].condition) == (5.0, "success")
    assert {step.rolling for step in steps[1:]} == {steps[1].rolling}
    assert len(planned(snapshot).stages) == 2


@pytest.mark.parametrize(("always", "closes"), [(None, False), (False, False), (True, True)])
def test_a_machine_is_put_back_after_a_failure_only_if_that_is_said(
    always: bool | None, closes: bool
) -> None:
    after = {"script": "in"} if always is None else {"script": "in", "always": always}
    *_, last = release(steps=[group(after=after)]).process
    assert (last.closes, last.condition) == (closes, "always" if closes else "success")


def test_a_group_that_starts_with_the_step_before_it_begins_with_its_hook() -> None:
    said = group(before={"script": "out"}, start="with_previous")
    snapshot = release(steps=[{"name": "First", "script": "true"}, said])
    assert [step.with_previous for step in snapshot.process] == [False, True, False]


HOOKS = group(before={"script": "out"}, after={"script": "in"})


@pytest.mark.parametrize(
    ("well", "again"),
    [
        (["Roll: before", "Swap", "Roll: after"], []),
        (["Roll: before", "Swap"], ["Roll: before", "Roll: after"]),
        (["Roll: before"], ["Roll: before", "Swap", "Roll: after"]),
        ([], ["Roll: before", "Swap", "Roll: after"]),
    ],
)
def test_a_retry_takes_a_machine_out_and_puts_it_back_wherever_something_is_left_to_do(
    well: list[str], again: list[str]
) -> None:
    selection = Selection(done=tuple((name, "web-1") for name in well))
    made = planned(release(steps=[HOOKS]), selection)
    assert [step.name for step in made.steps if "web-1" in machines(step)] == again


def test_a_retry_takes_no_machine_out_for_a_step_that_only_failures_have() -> None:
    undo = {"name": "Undo", "script": "true", "condition": "failure"}
    well = [("Roll: before", "web-1"), ("Swap", "web-1"), ("Roll: after", "web-1")]
    made = planned(release(steps=[{**HOOKS, "steps": [SWAP, undo]}]), Selection(done=tuple(well)))
    assert [step.name for step in made.steps if "web-1" in machines(step)] == ["Undo"]


def test_a_retry_takes_no_machine_out_that_nobody_would_put_back() -> None:
    well = (("Roll: before", "web-1"), ("Swap", "web-1"))
    selection = Selection(skip=("Roll: after",), done=well)
    made = planned(release(steps=[HOOKS]), selection)
    running = [s.name for s in made.steps if "web-1" in machines(s) and not s.left_out]
    assert running == []


# ---- on behalf ----


def test_what_another_machine_carries_out_claims_that_one_and_not_its_own() -> None:
    run = only({**SWAP, "runs_on": "lb-1"}).runs[0]
    assert (run.machine.name, run.where) == ("web-1", LB)
    assert run.claims == (Claim("machine:lb-1", EXCLUSIVE),)
    assert run.touched == run.claims
    assert (run.lock_mode, run.own_lock) == (EXCLUSIVE, ELSEWHERE)


def test_what_runs_on_its_own_machine_says_no_more_than_ever() -> None:
    run = only(SWAP).runs[0]
    assert (run.where, run.touched, run.own_lock) == (run.machine, (), "exclusive")
    assert "runs_on" not in json.dumps(planned(release(steps=[SWAP])).to_document())


def test_the_usual_rule_holds_for_the_machine_that_carries_it_out() -> None:
    touches = [{"resource": "conf"}, {"resource": "all", "everywhere": True}]
    step = {**SWAP, "runs_on": "lb-1", "touches": touches}
    assert only(step).runs[0].claims == (
        Claim("machine:lb-1", SHARED, 3),
        Claim("resource:lb-1/conf", EXCLUSIVE),
        Claim("resource:all", EXCLUSIVE),
    )
    bypassed = only({**SWAP, "runs_on": "lb-1"}, variables=(value(BYPASS, "True"),))
    assert bypassed.runs[0].claims == (Claim("machine:lb-1", SHARED, 3),)


def test_a_bypass_is_told_by_the_machine_that_is_shared_each_once() -> None:
    snapshot = release(value(BYPASS, "True"), steps=[{**SWAP, "runs_on": "lb-1"}])
    assert shared_by_bypass(planned(snapshot), snapshot.process) == {"Swap": ["lb-1"]}


def test_a_machine_that_is_to_carry_out_its_own_step_just_does() -> None:
    first, second = only({**SWAP, "runs_on": "web-1"}).runs[:2]
    assert (first.runs_on, first.own_lock) == (None, "exclusive")
    assert second.runs_on == WEB[0]


def test_a_deployment_that_holds_its_machines_holds_those_that_carry_something_out() -> None:
    hooks = group(before={"script": "out", "runs_on": "lb-1"})
    project = {"name": "app", "variables": [], "process": [hooks], "mutex": "deployment"}
    lifecycle = release().lifecycle
    made = planned(Snapshot.freeze(project, "1.0", None, lifecycle, []))
    assert Claim("machine:lb-1", EXCLUSIVE) in made.holds
    assert Claim("machine:web-1", EXCLUSIVE) in made.holds
    elsewhere = {**project, "process": [{**SWAP, "runs_on": "lb-1"}]}
    made = planned(Snapshot.freeze(elsewhere, "1.0", None, lifecycle, []))
    assert made.holds == (Claim("machine:lb-1", EXCLUSIVE),)


def test_the_machine_may_come_from_a_variable_of_the_target() -> None:
    step = {**SWAP, "runs_on": "#{Balancer}"}
    variables = (value("Balancer", "lb-1"), value("Balancer", "web-2", machines=["web-1"]))
    runs = only(step, variables=variables).runs
    assert [run.where.name for run in runs[:3]] == ["web-2", "lb-1", "lb-1"]


def test_the_machine_may_be_called_after_what_the_engine_knows() -> None:
    place = '#{if Octopus.Environment.Name == "QA"}web-2#{/if}'
    (run, *_) = only({**SWAP, "runs_on": place}).runs
    assert run.where.name == "web-2"
    own = only({**SWAP, "runs_on": "#{Octopus.Machine.Name}"})
    assert {run.runs_on for run in own.runs} == {None}


@pytest.mark.parametrize(
    ("variables", "error", "told"),
    [
        ([value("Balancer", "lb-2")], UnknownName, "there is no machine for step Swap 'lb-2'"),
        ([value("Balancer", " ")], BadPlace, "which is nothing, for web-1"),
        ([sealed("Balancer", "lb-1")], BadPlace, "which is a sensitive value"),
        ([], RequestError, "Balancer"),
    ],
)
def test_a_place_that_comes_to_no_machine_is_refused_before_anything_runs(
    variables: list[dict[str, Any]], error: type[RequestError], told: str
) -> None:
    with pytest.raises(error, match=told):
        planned(release(*variables, steps=[{**SWAP, "runs_on": "#{Balancer}"}]))


def test_a_machine_that_is_gone_is_no_obstacle_for_a_step_that_is_left_out() -> None:
    gone = {**SWAP, "runs_on": "lb-9", "environments": ["Production"]}
    assert only(gone).left_out == "not in QA"
    with pytest.raises(UnknownName, match="did you mean 'lb-1'"):
        only({**SWAP, "runs_on": "lb-9"})


def test_such_a_plan_comes_back_from_its_document_as_it_was() -> None:
    said = group(
        ramp=["10%", 3],
        max_parallel=2,
        on_failure="exclude",
        max_failures=2,
        before={"script": "out", "runs_on": "lb-1"},
        after={"script": "in", "runs_on": "lb-1", "always": True},
    )
    made = planned(release(steps=[said]))
    document = json.loads(json.dumps(made.to_document()))
    assert Plan.from_document(document) == made
    assert {s.max_failures for s in made.steps} == {2}


def test_modes_are_those_of_the_domain() -> None:
    assert ELSEWHERE not in set(Mode)
