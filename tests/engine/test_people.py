"""Manual steps and guided failures: what waits for a person holds nothing that others need."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.engine.answers import NothingAsked, NotResponsible, Overtaken
from deployengine.engine.intake import Terms
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House

SAID = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
#: Fails until somebody has mended the machine.
UNMENDED = SAID + "test -e mended\n"


def approve(**more: Any) -> dict[str, Any]:
    return {"name": "Approve", "kind": "manual", "instructions": "look at it", **more}


def process(**more: Any) -> list[dict[str, Any]]:
    return [step(SAID, "Before"), approve(**more), step(SAID, "After")]


def waiting(house: House, **more: Any) -> int:
    house.apply(catalog(project("app", process=process(**more))))
    number = house.create("app").id
    house.deliver_all()
    return number


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


def ran(house: House, name: str = "qa-1") -> list[str]:
    return (house.workdir(name) / "ran").read_text().split()


def answer(house: House, run: int, how: Answer, who: str = "ann", note: str = "") -> None:
    house.answers.answer(run, how, who, note)
    house.deliver_all()


# ---- manual steps ----


def test_a_manual_step_asks_and_holds_no_slot_no_machine_and_no_tag(house: House) -> None:
    number = waiting(house)
    assert state(house, number) == "paused"
    assert house.held() == {}
    (asked,) = house.queries.inbox()
    assert (asked.step, asked.asks.value, asked.run.message) == (
        "Approve",
        "approval",
        "look at it",
    )
    assert ran(house) == ["Before"]


def test_proceeding_lines_up_for_the_tag_and_goes_on(house: House) -> None:
    number = waiting(house)
    answer(house, 2, Answer.PROCEED, note="checked")
    assert (state(house, number), ran(house)) == ("succeeded", ["Before", "After"])
    assert house.queries.run(2).message == "look at it; ann answered proceed: checked"
    assert house.held() == {}
    assert house.queries.inbox() == []


def test_aborting_fails_the_deployment_and_runs_nothing_but_what_is_for_failures(
    house: House,
) -> None:
    parts = [*process(), step(SAID, "Undo", condition="failure")]
    house.apply(catalog(project("app", process=parts)))
    number = house.create("app").id
    house.deliver_all()
    answer(house, 2, Answer.ABORT)
    assert (state(house, number), ran(house)) == ("failed", ["Before", "Undo"])
    assert "ann answered abort" in (house.detail(number).deployment.message or "")


def test_another_release_goes_through_meanwhile_and_the_first_one_waits_for_it_then(
    house: House,
) -> None:
    first = waiting(house)
    second = house.create("app", "2.0").id
    house.deliver_chains()
    house.deliver_runs()
    house.deliver_all()
    assert state(house, second) == "paused"
    third = house.create("app", "3.0").id
    house.deliver_chains()  # its first script runs
    with pytest.raises(Overtaken, match=r"app [23].0 has begun in QA while 1.0 waited for this"):
        house.answers.answer(2, Answer.PROCEED, "ann")
    answered = house.answers.answer(2, Answer.PROCEED, "ann", over_newer=True)
    assert answered.state == "succeeded"
    assert state(house, first) == "queued"
    (wait,) = house.waits.why(f"dep-{first}")
    assert (wait.reason.value, [h.id for h in wait.holders]) == ("tag", [f"dep-{third}"])
    house.deliver_all()
    assert (state(house, first), state(house, third)) == ("succeeded", "paused")


def test_who_deployed_an_older_release_by_hand_has_said_so_already(house: House) -> None:
    manual = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    house.apply(catalog(project("app", process=process()), lifecycles=manual))
    for version in ("1.0", "2.0"):
        house.releases.create(Wanted("app", version))
        house.deployments.deploy("app", version, "QA")
        house.deliver_all()
    house.answers.answer(2, Answer.PROCEED, "ann")
    house.deliver_all()
    assert state(house, 1) == "succeeded"


def test_a_step_may_keep_the_tag_while_people_decide(house: House) -> None:
    first = waiting(house, keep_tag=True)
    assert house.held() == {"tag:app/QA": ([f"dep-{first}"], [])}
    second = house.create("app", "2.0").id
    house.deliver_all()
    assert state(house, second) == "queued"
    answer(house, 2, Answer.PROCEED)
    assert (state(house, first), state(house, second)) == ("succeeded", "paused")


def test_only_those_who_are_responsible_may_answer(house: House) -> None:
    number = waiting(house, responsible=["bob", "eve"])
    with pytest.raises(NotResponsible, match="bob or eve, not by ann"):
        house.answers.answer(2, Answer.PROCEED, "ann")
    assert house.queries.inbox("ann") == []
    assert len(house.queries.inbox("eve")) == 1
    answer(house, 2, Answer.PROCEED, "eve")
    assert state(house, number) == "succeeded"


def test_of_two_answers_the_first_one_counts(house: House) -> None:
    waiting(house)
    house.answers.answer(2, Answer.PROCEED, "ann")
    with pytest.raises(NothingAsked, match="was answered before"):
        house.answers.answer(2, Answer.ABORT, "bob")


def test_an_answer_to_another_question_is_refused_and_says_what_is_asked(house: House) -> None:
    waiting(house)
    with pytest.raises(NothingAsked, match="asks for: proceed or abort"):
        house.answers.answer(2, Answer.RETRY, "ann")


def test_cancelling_while_people_decide_leaves_nothing_behind(house: House) -> None:
    number = waiting(house)
    house.deployments.cancel(number)
    house.deliver_all()
    assert state(house, number) == "cancelled"
    assert house.states(number) == ["succeeded", "cancelled", "cancelled"]
    assert house.held() == {}


def test_instructions_hold_values_but_no_secrets(house: House) -> None:
    secret = {"name": "Word", "value": "hush-hush", "sensitive": True}
    shown = [approve(instructions="into #{Octopus.Environment.Name}")]
    hidden = [approve(instructions="say #{Word}")]
    house.apply(
        catalog(project("app", process=shown), project("shy", process=hidden, variables=[secret]))
    )
    for name in ("app", "shy"):
        house.create(name)
    house.deliver_all()
    assert [q.run.message for q in house.queries.inbox()] == ["into QA", "say #{Word}"]


def test_a_manual_step_with_the_previous_one_waits_beside_it(house: House) -> None:
    parts = [step(SAID, "Install"), approve(start="with_previous"), step(SAID, "After")]
    house.apply(catalog(project("app", process=parts)))
    number = house.create("app").id
    house.deliver_chains()
    assert state(house, number) == "paused"
    assert "tag:app/QA" in house.held()  # a script of it is at work
    house.deliver_all()
    assert ran(house) == ["Install"]
    answer(house, 2, Answer.PROCEED)
    assert (state(house, number), ran(house)) == ("succeeded", ["Install", "After"])


def test_answers_whose_messages_are_lost_are_carried_on_by_housekeeping(house: House) -> None:
    number = waiting(house)
    house.answers.answer(2, Answer.PROCEED, "ann")
    house.dispatcher.lose()
    house.redis.flushall()
    for _ in range(3):
        house.recovery.sweep()
        house.clock.advance(60)
        house.deliver_all()
    assert state(house, number) == "succeeded"


def test_what_waits_for_people_is_no_wait_for_admission_after_redis_was_lost(house: House) -> None:
    waiting(house)
    house.redis.flushall()
    house.recovery.sweep()
    assert house.held() == {}
    assert house.locks.counts().requests == 0


# ---- guided failures ----


def guided(house: House, *machines: str, **more: Any) -> int:
    parts = {"machines": [machine(name, "QA") for name in machines]} if machines else {}
    house.apply(
        catalog(
            project("app", process=[step(UNMENDED, "Install"), step(SAID, "After")], **more),
            environments=[{"name": "QA", "guided_failure": True}],
            **parts,
        )
    )
    number = house.create("app").id
    house.deliver_all()
    return number


def test_a_guided_failure_asks_before_anything_fails_and_frees_the_machine(house: House) -> None:
    number = guided(house)
    assert state(house, number) == "paused"
    assert list(house.held()) == ["tag:app/QA"]
    (asked,) = house.queries.inbox()
    assert (asked.asks.value, asked.run.state.value) == ("guidance", "failed")


def test_a_guided_failure_may_be_tried_again_once_it_was_mended(house: House) -> None:
    number = guided(house)
    (house.workdir("qa-1") / "mended").touch()
    answer(house, 1, Answer.RETRY)
    assert (state(house, number), ran(house)) == ("succeeded", ["Install", "Install", "After"])


def test_tried_again_and_failed_again_it_asks_again(house: House) -> None:
    number = guided(house)
    answer(house, 1, Answer.RETRY)
    assert state(house, number) == "paused"
    (asked,) = house.queries.inbox()
    assert asked.run.attempt == 2
    answer(house, asked.run.id, Answer.FAIL)
    assert (state(house, number), ran(house)) == ("failed", ["Install", "Install"])


def test_an_ignored_failure_counts_as_none(house: House) -> None:
    number = guided(house)
    answer(house, 1, Answer.IGNORE)
    assert (state(house, number), ran(house)) == ("succeeded", ["Install", "After"])
    assert house.detail(number).deployment.message == "a failure was ignored on qa-1"


def test_a_machine_may_be_left_out_and_the_others_go_on(house: House) -> None:
    number = guided(house, "m-1", "m-2")
    (house.workdir("m-2") / "mended").touch()
    answer(house, 1, Answer.EXCLUDE)
    assert state(house, number) == "paused"
    answer(house, 2, Answer.RETRY)
    assert state(house, number) == "succeeded"
    assert ran(house, "m-1") == ["Install"]
    assert ran(house, "m-2") == ["Install", "Install", "After"]
    assert house.detail(number).deployment.message == "without m-1"


def test_a_project_may_say_otherwise_than_its_environment(house: House) -> None:
    assert state(house, guided(house, guided_failure=False)) == "failed"


@pytest.mark.parametrize(
    ("project_says", "deployment_says", "ended"),
    [(False, True, "paused"), (True, False, "failed")],
)
def test_a_deployment_may_say_otherwise_than_its_project(
    house: House, project_says: bool, deployment_says: bool, ended: str
) -> None:
    manual = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    app = project("app", UNMENDED, guided_failure=project_says)
    house.apply(catalog(app, lifecycles=manual))
    house.releases.create(Wanted("app", "1.0"))
    number = house.deployments.deploy("app", "1.0", "QA", Terms(guided=deployment_says)).id
    house.deliver_all()
    assert state(house, number) == ended


def test_a_rolling_group_goes_on_after_a_failure_that_is_ignored(house: House) -> None:
    children = [{"name": "Install", "script": UNMENDED}, {"name": "Check", "script": SAID}]
    group = {"name": "Roll", "kind": "rolling", "steps": children}
    machines = [machine("m-1", "QA"), machine("m-2", "QA")]
    house.apply(catalog(project("app", process=[group], guided_failure=True), machines=machines))
    number = house.create("app").id
    (house.workdir("m-2")).mkdir(parents=True)
    (house.workdir("m-2") / "mended").touch()
    house.deliver_all()
    answer(house, 1, Answer.IGNORE)
    assert state(house, number) == "succeeded"
    assert [ran(house, name) for name in ("m-1", "m-2")] == [["Install", "Check"]] * 2


def test_retries_come_before_a_person_is_asked(house: House) -> None:
    house.apply(
        catalog(project("app", process=[step(UNMENDED, "Install", retries=2)], guided_failure=True))
    )
    number = house.create("app").id
    house.deliver_all()
    assert state(house, number) == "paused"
    assert house.states(number) == ["failed"] * 3


def test_no_answer_to_a_guided_failure_undoes_a_cancel(house: House) -> None:
    number = guided(house)
    house.deployments.cancel(number)
    house.deliver_all()
    assert state(house, number) == "cancelled"
    with pytest.raises(NothingAsked):
        house.answers.answer(1, Answer.RETRY, "ann")
