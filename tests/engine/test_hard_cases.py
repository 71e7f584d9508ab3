"""Hard cases: what two of the engine's features do to each other, found by a reader."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import Unreachable
from deployengine.domain.selection import Selection
from deployengine.domain.variables import AmbiguousVariable
from deployengine.engine.again import NothingNew
from deployengine.engine.endings import Outcome
from deployengine.engine.intake import Terms
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from deployengine.engine.tickets import level
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step, three_stages
from tests.engine.test_order import claimed, deploy, end, line, ready, run_of
from tests.engine.test_stages import rolling, states
from tests.support.fakes import House, away

MANUAL = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
SAID = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
TWO = [machine("web-[1:2]", "QA")]
APPROVE = {"name": "Approve", "kind": "manual", "instructions": "look"}


def on(name: str, then: str) -> str:
    return SAID + f'case "$DEPLOYENGINE_MACHINE" in {name}) {then};; esac\n'


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


def rounds(house: House, many: int = 30) -> None:
    """Delivers whatever comes, with housekeeping between, at most so many times."""
    for _ in range(many):
        house.clock.advance(5)
        house.recovery.sweep()
        house.calendar.look()
        for links in house.dispatcher.take_chains():
            house.carry(links)
        for run in house.dispatcher.take_runs():
            house.execute(run)


def deployed(house: House, *process: dict[str, Any], **parts: Any) -> int:
    house.apply(catalog(project("app", process=list(process)), **{"machines": TWO, **parts}))
    number = house.create("app").id
    house.deliver_all()
    return number


# ---- mutex: deployment ----


@pytest.mark.parametrize(
    ("second", "other", "more"),
    [
        ({"touches": ["iis"]}, {"touches": ["iis"]}, {}),
        ({"touches": ["iis"]}, {}, {}),
        ({}, {}, {"share": 5}),
    ],
    ids=["both touch", "one touches", "a share"],
)
def test_a_deployment_that_holds_its_machines_never_waits_for_who_waits_for_it(
    house: House, second: dict[str, Any], other: dict[str, Any], more: dict[str, Any]
) -> None:
    whole = project(
        "whole",
        process=[step(SAID, "One"), step(SAID, "Two", **second)],
        mutex="deployment",
        **more,
    )
    house.apply(catalog(whole, project("app", process=[step(SAID, **other)])))
    first = house.create("whole").id
    house.deliver_chains()
    late = house.create("app").id
    house.deliver_chains()
    rounds(house)
    assert [state(house, n) for n in (first, late)] == ["succeeded"] * 2


def test_machines_with_a_limit_are_held_whole_and_nobody_else_is_disturbed(house: House) -> None:
    whole = {**project("whole", SAID, mutex="deployment"), "variables": [bypassing("True")]}
    machines = [machine("m-[1:2]", "QA", max_concurrent=2)]
    house.apply(catalog(whole, project("app", SAID), machines=machines))
    numbers = [house.create(name).id for name in ("whole", "app")]
    house.redis.flushall()
    rounds(house)
    assert [state(house, n) for n in numbers] == ["succeeded"] * 2


def test_two_runs_of_a_holding_deployment_are_not_let_in_together_either(house: House) -> None:
    process = [step(SAID, "One"), step(SAID, "Two", start="with_previous")]
    house.apply(catalog(project("whole", process=process, mutex="deployment")))
    house.create("whole")
    house.deliver_chains()
    (one,) = house.dispatcher.take_runs()
    assert house.step_runs.claims.claim(one.run_id, one.granted_at, "somebody") is not None
    house.locks.release(house.handoff._known_generation(), [f"run-{one.run_id}"])
    (wrong,) = [g for g in house.locks.grants() if g.request_id.startswith("run-")]
    number = int(wrong.request_id.removeprefix("run-"))
    assert house.step_runs.claims.claim(number, wrong.granted_at, "somebody else") is None


def test_what_a_deployment_held_is_forgotten_with_its_end(house: House) -> None:
    house.apply(catalog(project("whole", SAID, mutex="deployment")))
    number = house.create("whole").id
    house.deliver_all()
    with house.database.read() as tx:
        assert not tx.holds.of(number)


# ---- order and grants that were taken back ----


def test_a_recall_that_was_cut_off_is_finished_by_whoever_gets_the_void_message(
    house: House,
) -> None:
    ready(house, "a", "fix")
    first = deploy(house, "a")
    house.deliver_chains()
    fix = deploy(house, "fix", priority=1)
    house.database.unanswered.append("recall")
    with pytest.raises(Unreachable):
        house.deliver_chains()
    rounds(house, 60)
    assert [state(house, n) for n in (first, fix)] == ["succeeded"] * 2


def test_a_new_order_that_redis_did_not_hear_of_comes_true_all_the_same(house: House) -> None:
    ready(house, "w", "a", "c", "b")
    numbers = [deploy(house, name) for name in ("w", "a", "c", "b")]
    house.deliver_chains()
    running = claimed(house)
    with away(house.redis):
        house.order.move_to_top(numbers[3])
    end(house, running)
    rounds(house, 60)
    assert [state(house, n) for n in numbers] == ["succeeded"] * 4


def test_housekeeping_finds_an_order_that_redis_did_not_hear_of(house: House) -> None:
    ready(house, "w", "a", "b")
    numbers = [deploy(house, name) for name in ("w", "a", "b")]
    house.deliver_chains()
    running = claimed(house)
    with away(house.redis):
        house.order.move_to_top(numbers[2])
    house.recovery.sweep()
    assert line(house)[1] == [run_of(house, numbers[2]), run_of(house, numbers[1])]
    end(house, running)


def test_several_may_be_put_at_the_top_whatever_has_ended_meanwhile(house: House) -> None:
    house.apply(
        catalog(
            project("long", process=[step("true\n", roles=["x"])]),
            project("a", process=[step("true\n", roles=["y"])]),
            project("b", process=[step("true\n", roles=["y"])]),
            machines=[machine("m-1", "QA", roles=["x"]), machine("m-2", "QA", roles=["y"])],
            lifecycles=MANUAL,
        )
    )
    for name in ("long", "a", "b"):
        house.releases.create(Wanted(name, "1.0"))
    deploy(house, "long")
    house.deliver_chains()
    running = claimed(house)
    for name in "ab":
        number = deploy(house, name)
        house.deliver_chains()
        house.order.move_to_top(number)
        house.deliver_all()
        assert state(house, number) == "succeeded"
    end(house, running)


def test_what_was_put_at_the_top_is_not_sent_back_by_a_higher_priority(house: House) -> None:
    ready(house, "a", "b", "c")
    numbers = [deploy(house, name) for name in "abc"]
    house.deliver_chains()
    running = claimed(house)
    house.order.move_to_top(numbers[2])
    before = line(house)
    house.order.prioritise(numbers[2], 1)
    assert line(house) == before
    end(house, running)


@pytest.mark.parametrize("priority", [-5, -1, 0, 5])
def test_what_was_put_at_the_top_stays_there_whatever_its_priority_is_then(
    house: House, priority: int
) -> None:
    ready(house, "a", "b", "c")
    numbers = [deploy(house, name) for name in "abc"]
    house.deliver_chains()
    running = claimed(house)
    house.order.move_to_top(numbers[2])
    before = line(house)
    assert before[1][0] == run_of(house, numbers[2])
    house.order.prioritise(numbers[2], priority)
    assert line(house) == before
    end(house, running)


def test_a_retry_has_the_priority_of_now(house: House) -> None:
    house.apply(catalog(project("a", process=[step("false\n", retries=1)])))
    number = house.create("a").id
    house.deliver_chains()
    running = claimed(house)
    with house.neighbour() as other:
        other.order.prioritise(number, 3)
    house.step_runs._endings.conclude(running, Outcome(RunState.FAILED, 1))
    (again,) = [run for run in house.detail(number).runs if run.attempt == 2]
    assert again.ticket is not None
    assert level(again.ticket) == 3


def test_the_next_machine_of_an_urgent_window_takes_grants_back_as_well(house: House) -> None:
    house.apply(
        catalog(
            project("app", "true\n"),
            project("fix", process=[step("true\n", max_parallel=1)]),
            machines=[machine("m-[1:2]", "QA")],
            lifecycles=MANUAL,
        )
    )
    for name in ("app", "fix"):
        house.releases.create(Wanted(name, "1.0"))
    deploy(house, "app")
    house.deliver_chains()
    fix = deploy(house, "fix", priority=1)
    house.deliver_chains()
    (urgent,) = [run for run in house.dispatcher.granted if run.urgent]
    house.dispatcher.granted.remove(urgent)
    house.execute(urgent)
    second = f"run-{house.detail(fix).runs[1].id}"
    assert house.held()["machine:m-2"][0] == [second]
    house.deliver_all()


# ---- machines that were left out ----


def test_leaving_a_machine_out_ends_the_pause_of_another_step_there(house: House) -> None:
    house.apply(
        catalog(
            project(
                "app",
                guided_failure=True,
                process=[
                    rolling(step(on("web-1", "exit 1"), "Child", retries=1, backoff=60)),
                    step(on("web-1", "exit 1"), "Beside", start="with_previous", touches=["x"]),
                ],
            ),
            machines=TWO,
        )
    )
    number = house.create("app").id
    house.deliver_all()
    (asked,) = house.queries.inbox()
    house.answers.answer(asked.run.id, Answer.EXCLUDE, "ann")
    rounds(house)
    assert state(house, number) == "succeeded"


def test_a_machine_that_was_left_out_runs_nothing_that_waited_there(house: House) -> None:
    house.apply(
        catalog(
            project(
                "app",
                guided_failure=True,
                process=[
                    step(on("web-1", "exit 1"), "One"),
                    step(SAID, "Two", start="with_previous"),
                ],
            ),
            machines=TWO,
        )
    )
    number = house.create("app").id
    house.deliver_chains()
    first, *others = house.dispatcher.take_runs()
    house.execute(first)
    house.answers.answer(1, Answer.EXCLUDE, "ann")
    for run in others:
        house.execute(run)
    house.deliver_all()
    assert states(house, number)["Two", "web-1"] == "skipped"
    assert state(house, number) == "succeeded"
    assert house.held() == {}


@pytest.mark.parametrize("guided", [False, True])
def test_a_deployment_of_which_no_machine_is_left_has_failed_and_promotes_nothing(
    house: House, guided: bool
) -> None:
    process = [step("exit 1\n")] if guided else [rolling(step("exit 1\n"), on_failure="exclude")]
    house.apply(three_stages(project("app", process=process, guided_failure=guided)))
    number = house.create("app").id
    house.deliver_all()
    if guided:
        house.answers.answer(1, Answer.EXCLUDE, "ann")
        house.deliver_all()
    assert state(house, number) == "failed"
    assert [d.environment for d in house.queries.deployments()] == ["QA"]


def test_a_machine_that_was_left_out_midway_is_missing(house: House) -> None:
    group = rolling(step(SAID, "Copy"), step(on("web-2", "exit 1"), "Start"), on_failure="exclude")
    deployed(house, group)
    again = house.again.catch_up("app", "1.0", "QA", Terms())
    assert {run.machine for run in house.detail(again.id).runs} == {"web-2"}


def test_of_what_is_missing_only_the_chosen_machines_are_served(house: House) -> None:
    house.apply(catalog(project("app", SAID), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    chosen = Terms(selection=Selection(machines=("web-1",)))
    first = house.again.catch_up("app", "1.0", "QA", chosen)
    house.deliver_all()
    assert {run.machine for run in house.detail(first.id).runs} == {"web-1"}
    with pytest.raises(NothingNew):
        house.again.catch_up("app", "1.0", "QA", chosen)


# ---- again ----


def test_the_lanes_of_a_retried_group_are_those_of_its_machines(house: House) -> None:
    undo = 'echo "$DEPLOYENGINE_MACHINE" >> ../../undone\n'
    failed = deployed(
        house,
        rolling(step(on("web-2", "exit 1"), "Install"), step(undo, "Undo", condition="failure")),
    )
    (house.settings.home / "undone").unlink()
    house.again.retry(failed, Terms())
    house.deliver_all()
    assert (house.settings.home / "undone").read_text() == "web-2\n"


def test_a_retry_of_a_retry_repeats_all_on_a_machine_that_failed_since(house: House) -> None:
    once = "test -e ../../once"
    first = deployed(
        house,
        step(SAID, "A"),
        step(f"{once} || {{ {on('web-2', 'exit 1')}}}\n", "B"),
        step(f"{once} && {{ {on('web-1', 'exit 1')}}}\n", "C"),
    )
    (house.settings.home / "once").touch()
    second = house.again.retry(first, Terms()).id
    house.deliver_all()
    third = house.again.retry(second, Terms()).id
    assert ("A", "web-1") in states(house, third)


# ---- times and people ----


def test_what_is_only_scheduled_takes_nobodys_place(house: House) -> None:
    house.apply(catalog(project("app", SAID, supersede=True), lifecycles=MANUAL))
    for version in ("1.0", "2.0"):
        house.releases.create(Wanted("app", version))
    first = house.deployments.deploy("app", "1.0", "QA").id
    later = Terms(not_before=house.clock.now() + timedelta(days=7))
    house.deployments.deploy("app", "2.0", "QA", later)
    house.deliver_all()
    assert state(house, first) == "succeeded"


def test_a_late_begin_of_what_is_scheduled_does_nothing(house: House) -> None:
    house.apply(catalog(project("app", SAID), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    later = Terms(not_before=house.clock.now() + timedelta(days=7))
    number = house.deployments.deploy("app", "1.0", "QA", later).id
    assert not house.phases.begin(number)
    assert state(house, number) == "queued"


def test_a_run_in_a_pause_and_a_manual_step_can_be_cancelled(house: House) -> None:
    house.apply(
        catalog(
            project("app", process=[step("exit 1\n", retries=1, backoff=60)]),
            project("shy", process=[APPROVE]),
        )
    )
    first = house.create("app").id
    house.deliver_all()
    house.deployments.cancel_run(house.detail(first).runs[-1].id)
    second = house.create("shy").id
    house.deliver_all()
    house.deployments.cancel_run(house.detail(second).runs[-1].id)
    rounds(house)
    assert house.states(first) == ["failed", "cancelled"]
    assert [state(house, n) for n in (first, second)] == ["failed"] * 2
    assert house.queries.inbox() == []


def test_a_deployment_stands_aside_as_soon_as_only_people_are_at_work(house: House) -> None:
    beside = {**APPROVE, "start": "with_previous"}
    number = deployed(house, step(SAID, "One"), beside)
    assert (state(house, number), house.held()) == ("paused", {})


def test_a_step_that_is_left_out_here_keeps_nobody_from_standing_aside(house: House) -> None:
    absent = step(SAID, "One", start="with_previous", exclude_environments=["QA"])
    number = deployed(house, APPROVE, absent, step(SAID, "Two"))
    assert (state(house, number), house.held()) == ("paused", {})


def test_values_that_tie_are_refused_when_the_release_is_made_not_when_a_step_begins(
    house: House,
) -> None:
    tie = [
        {"name": "T", "value": "1", "scope": {"environments": ["QA"]}},
        {"name": "T", "value": "2", "scope": {"environments": ["QA", "S"]}},
    ]
    house.apply(
        catalog(
            project(
                "app",
                variables=[{"name": "Yes", "value": "True"}, *tie],
                process=[step(SAID, "B", condition="#{Yes}")],
            ),
            environments=["QA", "S"],
        )
    )
    with pytest.raises(AmbiguousVariable, match="variable T has two values"):
        house.create("app")
    assert house.queries.deployments() == []


def test_a_plain_value_that_is_given_is_no_secret(house: House) -> None:
    asked = [{"name": "V", "prompt": {}}]
    house.apply(catalog(project("app", 'echo "#{V} banana"\n', variables=asked), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    number = house.deployments.deploy("app", "1.0", "QA", Terms(values={"V": "ana"})).id
    house.deliver_all()
    (_, text), *_ = house.queries.output(house.detail(number).runs[0].id)
    assert text == "ana banana\n"
