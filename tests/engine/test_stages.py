"""Stages on the engine: conditions, steps that begin together, windows, rolling groups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import FakeClock, House

FOUR = [machine("web-[1:4]", "QA")]
SAID = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
BAD = SAID + "exit 1\n"


def rolling(*children: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = [{k: v for k, v in child.items() if k != "kind"} for child in children]
    return {"name": "Roll", "kind": "rolling", "steps": plain, **more}


def deployed(house: House, *process: dict[str, Any], **parts: Any) -> int:
    house.apply(catalog(project("app", process=list(process)), **parts))
    number = house.create("app").id
    house.deliver_all()
    return number


def states(house: House, number: int) -> dict[tuple[str, str], str]:
    detail = house.detail(number)
    return {(detail.steps[run.step], run.machine): run.state.value for run in detail.runs}


def ran(house: House, name: str = "qa-1") -> list[str]:
    path = house.workdir(name) / "ran"
    return path.read_text().split() if path.exists() else []


# ---- run conditions ----


def test_after_a_failure_steps_run_by_their_condition(house: House) -> None:
    number = deployed(
        house,
        step(BAD, "Install"),
        step(SAID, "Next"),
        step(SAID, "Undo", condition="failure"),
        step(SAID, "Tell", condition="always"),
    )
    assert ran(house) == ["Install", "Undo", "Tell"]
    assert house.detail(number).deployment.state == "failed"
    messages = {r.step: r.message for r in house.detail(number).runs}
    assert messages[1] == "something before it failed"


def test_without_a_failure_steps_for_failures_are_skipped_and_the_deployment_succeeds(
    house: House,
) -> None:
    number = deployed(house, step(SAID, "Install"), step(SAID, "Undo", condition="failure"))
    assert ran(house) == ["Install"]
    assert house.detail(number).deployment.state == "succeeded"


@pytest.mark.parametrize(("value", "runs"), [("True", True), ("False", False), ("", False)])
def test_a_step_may_run_by_an_expression(house: House, value: str, runs: bool) -> None:
    house.apply(
        catalog(
            project(
                "app",
                variables=[{"name": "Wanted", "value": value}],
                process=[step(SAID, "Maybe", condition="#{Wanted}")],
            )
        )
    )
    house.create("app")
    house.deliver_all()
    assert ran(house) == (["Maybe"] if runs else [])


def test_an_expression_sees_the_outputs_of_earlier_steps_and_the_failure(house: House) -> None:
    seen = "#{if Octopus.Deployment.Error}#{Octopus.Action[Ask].Output.go}#{/if}"
    deployed(
        house,
        step(SAID + "set_output go yes\nexit 1\n", "Ask"),
        step(SAID, "Then", condition=seen),
    )
    assert ran(house) == ["Ask", "Then"]


def test_a_condition_that_cannot_be_told_fails_its_step_and_says_why(house: House) -> None:
    process = [step(SAID, "Maybe", condition="#{Wanted | FromBase64}")]
    house.apply(
        catalog(project("app", process=process, variables=[{"name": "Wanted", "value": "%%%"}]))
    )
    number = house.create("app").id
    house.deliver_all()
    (run,) = house.detail(number).runs
    assert (run.state, house.detail(number).deployment.state) == ("failed", "failed")
    assert "condition cannot be told" in (run.message or "")


def test_steps_for_other_environments_and_channels_are_left_out_and_say_so(house: House) -> None:
    number = _deployed_with_channel(house)
    assert ran(house) == ["Here"]
    told = {r.step: r.message for r in house.detail(number).runs}
    assert told == {0: None, 1: "not in QA", 2: "only in channels"}
    assert house.detail(number).deployment.state == "succeeded"


def _deployed_with_channel(house: House) -> int:
    process = [
        step(SAID, "Here"),
        step(SAID, "There", exclude_environments=["QA"]),
        step(SAID, "Hot", channels=["hot"]),
    ]
    channels = [{"name": "hot", "lifecycle": "auto"}]
    house.apply(catalog(project("app", process=process, channels=channels)))
    number = house.create("app").id
    house.deliver_all()
    return number


# ---- beginning together ----


def test_steps_that_start_with_the_previous_one_are_open_together(house: House) -> None:
    house.apply(
        catalog(
            project(
                "app",
                process=[
                    step(SAID, "One", touches=["a"]),
                    step(SAID, "Two", touches=["b"], start="with_previous"),
                    step(SAID, "Three"),
                ],
            )
        )
    )
    house.create("app")
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 2
    one, two = house.dispatcher.take_runs()
    house.execute(two)
    house.deliver_chains()
    assert house.dispatcher.quiet
    house.execute(one)
    house.deliver_all()
    assert ran(house) == ["Two", "One", "Three"]


# ---- windows ----


def test_max_parallel_bounds_the_machines_of_a_step_and_slides(house: House) -> None:
    house.apply(catalog(project("app", process=[step(SAID, max_parallel=2)]), machines=FOUR))
    number = house.create("app").id
    house.deliver_chains()
    begun = []
    while house.dispatcher.granted:
        assert len(house.dispatcher.granted) <= 2
        run = house.dispatcher.granted.pop(0)
        begun.append(run.run_id)
        house.execute(run)
    house.deliver_all()
    assert begun == sorted(begun)
    assert len(begun) == 4
    assert house.detail(number).deployment.state == "succeeded"


def test_a_failed_machine_does_not_keep_the_others_of_a_window_back(house: House) -> None:
    script = SAID + 'case "$DEPLOYENGINE_MACHINE" in web-1) exit 1;; esac\n'
    number = deployed(house, step(script, max_parallel=1), machines=FOUR)
    assert sorted(states(house, number).values()) == ["failed", *["succeeded"] * 3]


def test_octopus_max_parallelism_does_the_same_and_goes_before_the_field(house: House) -> None:
    variables = [{"name": "Octopus.Action.MaxParallelism", "value": "3"}]
    process = [step(SAID, max_parallel=1)]
    house.apply(catalog(project("app", process=process, variables=variables), machines=FOUR))
    house.create("app")
    house.deliver_chains()
    assert len(house.dispatcher.granted) == 3


# ---- rolling groups ----


def test_a_rolling_group_goes_through_its_steps_machine_by_machine(house: House) -> None:
    order = 'echo "$DEPLOYENGINE_MACHINE $DEPLOYENGINE_STEP" >> ../../order\n'
    deployed(house, rolling(step(order, "Drain"), step(order, "Install")), machines=FOUR)
    written = (house.settings.home / "order").read_text().splitlines()
    assert written == [f"web-{n} {name}" for n in range(1, 5) for name in ("Drain", "Install")]


def test_why_names_each_machine_that_waits_for_its_turn_in_a_window(house: House) -> None:
    group = rolling(step(SAID, "Drain"), step(SAID, "Install"), max_parallel=2)
    house.apply(catalog(project("app", process=[group]), machines=FOUR))
    number = house.create("app").id
    house.deliver_chains()
    waits = house.waits.why(f"dep-{number}")
    assert [(w.label, w.waits_for) for w in waits if w.reason == "window"] == [
        (f"Drain on web-{n}", "its turn: at most 2 machines at once") for n in (3, 4)
    ]
    house.deliver_all()


def test_a_rolling_group_stops_when_a_machine_failed(house: House) -> None:
    script = SAID + 'case "$DEPLOYENGINE_MACHINE" in web-2) exit 1;; esac\n'
    number = deployed(house, rolling(step(script, "Install"), step(SAID, "Check")), machines=FOUR)
    found = states(house, number)
    assert [found["Install", f"web-{n}"] for n in range(1, 5)] == [
        "succeeded",
        "failed",
        "skipped",
        "skipped",
    ]
    assert found["Check", "web-2"] == "skipped"
    assert house.detail(number).deployment.state == "failed"


def test_a_rolling_group_may_leave_a_failed_machine_out_for_good(house: House) -> None:
    script = SAID + 'case "$DEPLOYENGINE_MACHINE" in web-2) exit 1;; esac\n'
    group = rolling(step(script, "Install"), step(SAID, "Check"), on_failure="exclude")
    number = deployed(house, group, step(SAID, "After"), machines=FOUR)
    found = states(house, number)
    assert found["Install", "web-2"] == "failed"
    assert [found[name, "web-2"] for name in ("Check", "After")] == ["skipped", "skipped"]
    assert {found[name, "web-4"] for name in ("Install", "Check", "After")} == {"succeeded"}
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-2")


def test_a_step_for_failures_in_a_group_runs_where_it_went_wrong(house: House) -> None:
    script = SAID + 'case "$DEPLOYENGINE_MACHINE" in web-1) exit 1;; esac\n'
    group = rolling(
        step(script, "Install"),
        step(SAID, "Undo", condition="failure"),
        step(SAID, "Balance", condition="always"),
        max_parallel=4,
    )
    number = deployed(house, group, machines=FOUR)
    found = states(house, number)
    assert (found["Undo", "web-1"], found["Undo", "web-2"]) == ("succeeded", "skipped")
    assert found["Balance", "web-1"] == found["Balance", "web-2"] == "succeeded"


UNTOLD = {"name": "Untold", "value": "%%%", "scope": {"machines": ["web-1"]}}


def rolled(house: House, *children: dict[str, Any], **more: Any) -> int:
    """A group whose first child has a condition that cannot be told on web-1."""
    first = step(SAID, "Install", condition="#{Untold | FromBase64}True")
    house.apply(
        catalog(
            project(
                "app",
                variables=[{"name": "Untold", "value": ""}, UNTOLD],
                process=[rolling(first, *children, **more), step(SAID, "After")],
            ),
            machines=FOUR,
        )
    )
    number = house.create("app").id
    house.deliver_all()
    return number


def test_a_child_whose_condition_cannot_be_told_has_failed_on_its_machine(house: House) -> None:
    number = rolled(house, step(SAID, "Check"), step(SAID, "Undo", condition="failure"))
    assert ran(house, "web-1") == ["Undo"]
    assert ran(house, "web-2") == []
    found = {name: states(house, number)[name, "web-1"] for name in ("Install", "Check")}
    assert found == {"Install": "failed", "Check": "skipped"}
    assert house.detail(number).deployment.state == "failed"


@pytest.mark.parametrize("window", [1, 4])
def test_a_child_whose_condition_cannot_be_told_may_leave_its_machine_out_for_good(
    house: House, window: int
) -> None:
    undo = step(SAID, "Undo", condition="failure")
    number = rolled(house, undo, on_failure="exclude", max_parallel=window)
    assert ran(house, "web-1") == []
    assert ran(house, "web-2") == ran(house, "web-4") == ["Install", "After"]
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-1")
    assert house.held() == {}


def test_a_machine_that_is_left_out_for_a_condition_makes_room_in_what_began_with_its_group(
    house: House,
) -> None:
    untold = step(SAID, "Check", condition="#{Untold | FromBase64}True")
    install = step(SAID, "Install", touches=["y"])
    house.apply(
        catalog(
            project(
                "app",
                variables=[{"name": "Untold", "value": ""}, UNTOLD],
                process=[
                    step(SAID, "Beside", max_parallel=1, touches=["x"]),
                    rolling(install, untold, on_failure="exclude", start="with_previous"),
                ],
            ),
            machines=FOUR,
        )
    )
    number = house.create("app").id
    house.deliver_chains()
    beside, first = house.dispatcher.take_runs()
    house.execute(first)
    house.execute(beside)
    house.deliver_all()
    found = states(house, number)
    assert (found["Check", "web-1"], found["Beside", "web-1"]) == ("failed", "skipped")
    assert found["Beside", "web-2"] == found["Beside", "web-4"] == "succeeded"
    assert house.detail(number).deployment.state == "succeeded"
    assert house.held() == {}


def test_cancelling_a_rolling_group_leaves_nothing_behind(house: House) -> None:
    house.apply(
        catalog(
            project("app", process=[rolling(step(SAID, "Drain"), step(SAID, "Install"))]),
            machines=FOUR,
        )
    )
    number = house.create("app").id
    house.deliver_chains()
    house.deployments.cancel(number)
    house.deliver_all()
    assert house.detail(number).deployment.state == "cancelled"
    assert set(states(house, number).values()) == {"cancelled"}
    assert house.held() == {}


def test_a_rolling_group_whose_messages_are_lost_is_carried_on_by_housekeeping(
    house: House,
) -> None:
    house.apply(
        catalog(
            project("app", process=[rolling(step(SAID, "Drain"), step(SAID, "Install"))]),
            machines=FOUR,
        )
    )
    number = house.create("app").id
    for _ in range(40):
        if house.detail(number).deployment.state.final:
            break
        house.dispatcher.lose()
        for _ in range(3):
            house.recovery.sweep()
            house.clock.advance(60)
        house.deliver_chains()
        house.deliver_runs()
    assert house.detail(number).deployment.state == "succeeded"
    assert house.held() == {}


# ---- retries with a pause ----


def test_a_pause_before_a_retry_is_doubled_and_holds_nothing(house: House) -> None:
    number = deployed(house, step(BAD, retries=2, backoff="10s"))
    assert "machine:qa-1" not in house.held()
    attempts = house.detail(number).runs
    assert [run.state.value for run in attempts] == ["failed", "pending"]
    assert (attempts[1].not_before - house.clock.now()).total_seconds() == pytest.approx(10)
    house.clock.advance(9)
    house.calendar.look()
    assert house.dispatcher.quiet
    house.clock.advance(1)
    house.calendar.look()
    house.deliver_all()
    last = house.detail(number).runs[-1]
    assert (last.attempt, last.state.value) == (3, "pending")
    assert (last.not_before - house.clock.now()).total_seconds() == pytest.approx(20)
    house.clock.advance(20)
    house.calendar.look()
    house.deliver_all()
    assert house.detail(number).deployment.state == "failed"
    assert ran(house) == ["Install"] * 3


@pytest.mark.parametrize("hours", [1, -1])
def test_a_pause_is_over_in_its_time_whoever_has_a_wrong_clock(house: House, hours: int) -> None:
    other, key = FakeClock(), house.settings.master_key
    with House(house.settings.home, house.redis, other, master_key=key) as neighbour:
        other.advance(3600 * hours)  # its worker, and its housekeeping
        number = deployed(neighbour, step(BAD, retries=1, backoff="10s"))
        house.calendar.look()
        for _ in range(10):
            house.clock.advance(1)
            house.calendar.look()
        house.deliver_all()
        assert house.states(number) == ["failed", "failed"]
