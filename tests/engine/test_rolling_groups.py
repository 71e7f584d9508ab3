"""Rolling groups on the engine: batches, failures that are one too many, hooks around a turn."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.selection import Selection
from deployengine.engine.intake import Terms
from deployengine.engine.queries import DeploymentDetail
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.engine.test_pick_up import claim, until_lost
from tests.engine.test_stages import deployed, ran, rolling, states
from tests.support.fakes import House

SIX = [machine("web-[1:6]", "QA"), machine("lb", "Else")]
ELSEWHERE = {"environments": ["QA", "Else"], "machines": SIX}
BY_HAND = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
#: Says in the home, in order, what ran for which machine.
ORDER = 'echo "$DEPLOYENGINE_MACHINE $DEPLOYENGINE_STEP" >> ../../order\n'
OUT = {"script": ORDER, "runs_on": "lb"}


def bad_on(*machines: str, script: str = ORDER) -> str:
    """A script that fails on these machines."""
    return f'{script}case "$DEPLOYENGINE_MACHINE" in {"|".join(machines)}) exit 1;; esac\n'


def applied(house: House, *process: dict[str, Any], **more: Any) -> int:
    house.apply(catalog(project("app", process=list(process), **more), **ELSEWHERE))
    return house.create("app").id


def begun(house: House) -> list[str]:
    """The machines for which something is on its way to a slot."""
    labels = [run.label for run in house.dispatcher.granted]
    return sorted(label.rpartition(" ")[2] for label in labels)


def order(house: House) -> list[str]:
    return (house.settings.home / "order").read_text().splitlines()


def why(house: House, number: int) -> set[str]:
    return {w.waits_for for w in house.waits.why(f"dep-{number}") if w.reason == "window"}


def messages(detail: DeploymentDetail) -> dict[str, str | None]:
    return {f"{detail.steps[r.step]} {r.machine}": r.message for r in detail.runs}


# ---- batches ----


def test_a_ramp_goes_batch_by_batch_and_then_takes_all_the_rest(house: House) -> None:
    number = applied(house, rolling(step(ORDER, "Install"), ramp=[1, 2]))
    batches = []
    house.deliver_chains()
    while house.dispatcher.granted:
        batches.append(begun(house))
        first, *others = house.dispatcher.take_runs()
        house.execute(first)
        if others:
            assert house.dispatcher.quiet, "nobody of the next batch begins beside this one"
        for run in others:
            house.execute(run)
        house.deliver_chains()
    assert batches == [["web-1"], ["web-2", "web-3"], ["web-4", "web-5", "web-6"]]
    assert house.detail(number).deployment.state == "succeeded"


def test_a_turn_has_ended_when_the_last_step_of_its_machine_has(house: House) -> None:
    applied(house, rolling(step(ORDER, "Install"), step(ORDER, "Check"), ramp=[2]))
    house.deliver_chains()
    first, second = house.dispatcher.take_runs()
    house.execute(first)
    house.execute(second)
    assert begun(house) == ["web-1", "web-2"]
    (check, other) = house.dispatcher.take_runs()
    house.execute(check)
    assert house.dispatcher.quiet
    house.execute(other)
    assert begun(house) == ["web-3", "web-4", "web-5", "web-6"]


def test_after_a_ramp_a_window_holds_for_the_rest_and_a_share_counts_the_machines(
    house: House,
) -> None:
    applied(house, rolling(step(ORDER), ramp=["17%"], max_parallel=3))
    house.deliver_chains()
    assert begun(house) == ["web-1", "web-2"]
    house.deliver_runs()
    assert begun(house) == ["web-3", "web-4", "web-5"]


def test_why_tells_the_batches(house: House) -> None:
    number = applied(house, rolling(step(ORDER), ramp=[1, 2], max_parallel=2))
    house.deliver_chains()
    assert why(house, number) == {
        "its turn: 1 machine, then 2 machines, then at most 2 machines at once"
    }


def test_a_machine_that_was_left_out_before_is_no_batch(house: House) -> None:
    first = rolling(step(bad_on("web-1"), "Look"), on_failure="exclude", max_parallel=6)
    second = {**rolling(step(ORDER, "Install"), ramp=[1]), "name": "Second"}
    applied(house, first, second)
    house.deliver_chains()
    while begun(house) != ["web-2"]:
        assert house.dispatcher.granted or house.dispatcher.chains
        if house.dispatcher.granted:
            house.execute(house.dispatcher.granted.pop(0))
        house.deliver_chains()


def test_a_group_whose_first_step_is_skipped_on_request_keeps_its_window(house: House) -> None:
    house.apply(
        catalog(
            project("app", process=[rolling(step(ORDER, "Drain"), step(ORDER, "Install"))]),
            **{**ELSEWHERE, "lifecycles": BY_HAND},
        )
    )
    house.releases.create(Wanted("app", "1.0"))
    terms = Terms(selection=Selection(skip=("Drain",)))
    house.deployments.deploy("app", "1.0", "QA", terms)
    house.deliver_chains()
    assert begun(house) == ["web-1"]


# ---- one failure too many ----


def excluding(most: int | str, *bad: str, **more: Any) -> dict[str, Any]:
    return rolling(step(bad_on(*bad), "Install"), on_failure="exclude", max_failures=most, **more)


def test_a_group_goes_on_while_no_more_machines_have_failed_than_may(house: House) -> None:
    number = deployed(house, excluding(2, "web-1", "web-3"), step(ORDER, "After"), **ELSEWHERE)
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-1, web-3")


def test_one_more_and_no_further_machine_begins_and_the_group_has_failed(house: House) -> None:
    group = excluding("20%", "web-2", "web-3")
    number = deployed(
        house, group, step(ORDER, "After"), step(ORDER, "Undo", condition="failure"), **ELSEWHERE
    )
    found, detail = states(house, number), house.detail(number)
    installed = [found["Install", f"web-{n}"] for n in range(1, 7)]
    assert installed == ["succeeded", "failed", "failed", *["skipped"] * 3]
    assert detail.deployment.state == "failed"
    assert detail.deployment.message == (
        "a step failed on web-3; more than 1 machine failed in Roll"
    )
    assert messages(detail)["Install web-4"] == (
        "more than 1 machine failed, so no further one begins"
    )
    assert {found["After", f"web-{n}"] for n in range(1, 7)} == {"skipped"}
    undone = {n: found["Undo", f"web-{n}"] for n in range(1, 7)}
    assert undone == {1: "succeeded", 2: "skipped", **dict.fromkeys(range(3, 7), "succeeded")}
    assert house.held() == {}


def test_machines_under_way_end_their_turn_when_too_many_have_failed(house: House) -> None:
    group = rolling(
        step(bad_on("web-1", "web-2"), "Install"),
        step(ORDER, "Check"),
        on_failure="exclude",
        max_failures=1,
        max_parallel=3,
    )
    number = deployed(house, group, **ELSEWHERE)
    found = states(house, number)
    assert [found["Check", f"web-{n}"] for n in (1, 2, 3)] == ["skipped", "skipped", "succeeded"]
    assert {found["Install", f"web-{n}"] for n in (5, 6)} == {"skipped"}
    assert house.detail(number).deployment.state == "failed"


def test_a_share_that_is_less_than_one_machine_bears_no_failure(house: House) -> None:
    number = deployed(house, excluding("10%", "web-1"), **ELSEWHERE)
    assert list(states(house, number).values()) == ["failed", *["skipped"] * 5]
    assert messages(house.detail(number))["Install web-2"] == (
        "a machine failed, so no further one begins"
    )
    assert house.detail(number).deployment.state == "failed"


def test_a_group_that_stops_says_so_where_it_does_not_begin(house: House) -> None:
    number = deployed(house, rolling(step(bad_on("web-1"), "Install")), **ELSEWHERE)
    assert messages(house.detail(number))["Install web-6"] == (
        "a machine failed, so no further one begins"
    )
    assert house.detail(number).deployment.message == "a step failed on web-1"


def test_conditions_that_cannot_be_told_count_as_failures_of_their_machines(house: House) -> None:
    untold = {"name": "Untold", "value": "%%%", "scope": {"machines": ["web-[1:2]"]}}
    install = step(ORDER, "Install", condition="#{Untold | FromBase64}True")
    group = rolling(install, on_failure="exclude", max_failures=1, max_parallel=6)
    number = applied(house, group, variables=[{"name": "Untold", "value": ""}, untold])
    house.deliver_all()
    assert list(states(house, number).values()) == ["failed", "failed", *["skipped"] * 4]
    assert house.detail(number).deployment.state == "failed"


def test_a_retry_counts_anew(house: House) -> None:
    flaky = f"{bad_on('web-1', 'web-2')}".replace("exit 1", "[ -e ../../mended ] || exit 1")
    group = rolling(step(flaky, "Install"), on_failure="exclude", max_failures=1)
    number = deployed(house, group, **ELSEWHERE)
    assert house.detail(number).deployment.state == "failed"
    (house.settings.home / "mended").touch()
    again = house.again.retry(number, Terms())
    house.deliver_all()
    assert house.detail(again.id).deployment.state == "succeeded"
    assert {m for _, m in states(house, again.id)} == {f"web-{n}" for n in range(1, 7)}


def test_a_person_may_leave_out_more_than_may_fail_and_the_others_go_on(house: House) -> None:
    group = excluding(1, "web-1", "web-2")
    number = applied(house, group, guided_failure=True)
    house.deliver_all()
    for _ in (1, 2):
        (asked,) = house.detail(number).questions
        house.answers.answer(asked.run.id, Answer.EXCLUDE, "ann")
        house.deliver_all()
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-1, web-2")


# ---- hooks ----


def hooked(script: str, *, always: bool = False, **more: Any) -> dict[str, Any]:
    after = {**OUT, "always": True} if always else OUT
    return rolling(step(script, "Install"), before=OUT, after=after, **more)


def test_a_machine_is_taken_out_before_its_turn_and_put_back_after_it(house: House) -> None:
    number = deployed(house, hooked(ORDER), **ELSEWHERE)
    turn = ("Roll: before", "Install", "Roll: after")
    assert order(house) == [f"web-{n} {name}" for n in range(1, 7) for name in turn]
    assert house.detail(number).deployment.state == "succeeded"


@pytest.mark.parametrize("on_failure", ["stop", "exclude"])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("window", [1, 6])
def test_a_machine_on_which_something_failed_is_put_back_only_if_that_is_said(
    house: House, on_failure: str, always: bool, window: int
) -> None:
    group = hooked(bad_on("web-2"), always=always, on_failure=on_failure, max_parallel=window)
    number = deployed(house, group, **ELSEWHERE)
    found = states(house, number)
    assert found["Roll: after", "web-2"] == ("succeeded" if always else "skipped")
    assert ("web-2 Roll: after" in order(house)) is always
    went_on = on_failure == "exclude" or window == 6
    assert found["Roll: after", "web-6"] == ("succeeded" if went_on else "skipped")
    assert found["Roll: before", "web-6"] == found["Roll: after", "web-6"]
    ended = "succeeded" if on_failure == "exclude" else "failed"
    assert house.detail(number).deployment.state == ended
    assert house.held() == {}


def test_a_machine_that_could_not_be_taken_out_is_not_touched(house: House) -> None:
    group = hooked(ORDER, on_failure="exclude")
    group["before"] = {**OUT, "script": bad_on("web-1")}
    number = deployed(house, group, **ELSEWHERE)
    assert "web-1 Install" not in order(house)
    assert states(house, number)["Roll: after", "web-1"] == "skipped"
    assert house.detail(number).deployment.message == "without web-1"


def test_a_machine_that_is_left_out_before_its_turn_is_neither_taken_out_nor_put_back(
    house: House,
) -> None:
    look = {**rolling(step(bad_on("web-1"), "Look"), on_failure="exclude"), "name": "First"}
    deployed(house, look, hooked(ORDER, always=True), **ELSEWHERE)
    assert "web-1 Roll: before" not in order(house)
    assert "web-1 Roll: after" not in order(house)
    assert "web-2 Roll: after" in order(house)


def test_what_puts_a_machine_back_in_any_case_is_tried_again_on_one_that_was_left_out(
    house: House,
) -> None:
    group = hooked(bad_on("web-1"), always=True, on_failure="exclude")
    third = '[ "$DEPLOYENGINE_ATTEMPT" = 3 ] || exit 1\n'
    group["after"] = {**OUT, "script": ORDER + third, "retries": 2, "always": True}
    number = deployed(house, group, **ELSEWHERE)
    assert order(house).count("web-1 Roll: after") == 3
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-1")


def test_a_machine_that_is_left_out_while_it_waits_for_its_hook_is_put_back_all_the_same(
    house: House,
) -> None:
    beside = rolling(step(bad_on("web-1"), "Beside", touches=["x"]), on_failure="exclude")
    group = hooked(ORDER, always=True, start="with_previous", max_parallel=1)
    group["steps"][0]["touches"] = ["y"]
    applied(house, {**beside, "name": "Other"}, group)
    house.deliver_chains()
    granted = {run.label.split(" · ")[1]: run for run in house.dispatcher.take_runs()}
    house.execute(granted["Roll: before on lb for web-1"])
    (install,) = house.dispatcher.take_runs()
    house.execute(install)  # now its hook waits for a slot
    house.execute(granted["Beside on web-1"])
    house.deliver_all()
    assert "web-1 Roll: after" in order(house)
    assert house.held() == {}


def test_what_puts_a_machine_back_is_begun_by_another_worker_if_the_first_one_dies_before(
    house: House,
) -> None:
    group = hooked(bad_on("web-1"), always=True, on_failure="exclude")
    applied(house, group)
    house.deliver_chains()
    for _ in ("before", "install"):
        (run,) = house.dispatcher.take_runs()
        house.execute(run)
    (run, *_) = house.dispatcher.take_runs()
    assert run.label.endswith("Roll: after on lb for web-1")
    claim(house, run)
    with house.neighbour() as other:
        other.lease.beat()
        until_lost(house, other)
        other.pick_up.join()
        other.deliver_all()
    house.deliver_all()
    assert order(house).count("web-1 Roll: after") == 1


@pytest.mark.parametrize("window", [1, 6])
def test_a_machine_of_whose_condition_nobody_can_tell_is_put_back_at_once_where_that_is_said(
    house: House, window: int
) -> None:
    untold = {"name": "Untold", "value": "%%%", "scope": {"machines": ["web-1"]}}
    group = hooked(ORDER, always=True, on_failure="exclude", max_parallel=window)
    group["steps"][0]["condition"] = "#{Untold | FromBase64}True"
    number = applied(house, group, variables=[{"name": "Untold", "value": ""}, untold])
    house.deliver_all()
    assert [line for line in order(house) if line.startswith("web-1 ")] == [
        "web-1 Roll: before",
        "web-1 Roll: after",
    ]
    assert house.detail(number).deployment.message == "without web-1"
    assert house.held() == {}


def test_a_cancelled_deployment_puts_nothing_back(house: House) -> None:
    number = applied(house, hooked(ORDER, always=True))
    house.deliver_chains()
    (before,) = house.dispatcher.take_runs()
    house.execute(before)
    house.deployments.cancel(number)
    house.deliver_all()
    assert order(house) == ["web-1 Roll: before"]
    assert house.held() == {}


def test_a_retry_takes_out_and_puts_back_what_it_works_on_and_nothing_else(house: House) -> None:
    mending = bad_on("web-2").replace("exit 1", "[ -e ../../mended ] || exit 1")
    number = deployed(house, hooked(mending), **ELSEWHERE)
    before = len(order(house))
    (house.settings.home / "mended").touch()
    again = house.again.retry(number, Terms())
    house.deliver_all()
    assert house.detail(again.id).deployment.state == "succeeded"
    turn = ("Roll: before", "Install", "Roll: after")
    assert order(house)[before:] == [f"web-{n} {name}" for n in range(2, 7) for name in turn]


def test_hooks_may_run_on_the_machine_itself(house: House) -> None:
    said = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
    group = rolling(step(said, "Install"), before=said, after=said)
    deployed(house, group, **ELSEWHERE)
    assert ran(house, "web-1") == ["Roll:", "before", "Install", "Roll:", "after"]
