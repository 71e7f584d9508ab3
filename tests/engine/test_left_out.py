"""Machines that are left out: nothing more runs there, and nothing of them counts any more."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.answers import NothingAsked
from deployengine.engine.claims import Claimed
from deployengine.engine.endings import Outcome
from deployengine.engine.intake import Terms
from deployengine.engine.ports import GrantedRun
from deployengine.engine.questions import Answer
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.engine.test_stages import rolling, states
from tests.support.fakes import House

TWO = [machine("web-[1:2]", "QA")]
BAD_ON_1 = 'case "$DEPLOYENGINE_MACHINE" in web-1) exit 1;; esac\n'
BESIDE: dict[str, Any] = {"start": "with_previous", "touches": ["b"]}


def begun(house: House, *process: dict[str, Any], **more: Any) -> dict[str, GrantedRun]:
    """A deployment to two machines: its first runs by step and machine, as in "One on web-1"."""
    house.apply(catalog(project("app", process=list(process), **more), machines=TWO))
    house.create("app")
    house.deliver_chains()
    return {run.label.split("· ")[-1]: run for run in house.dispatcher.take_runs()}


def claimed(house: House, run: GrantedRun) -> Claimed:
    """The run, at work with a worker."""
    found = house.step_runs.claims.claim(run.run_id, run.granted_at, "somebody")
    assert found is not None
    return found


def ends(house: House, running: Claimed, state: RunState) -> None:
    house.step_runs._endings.conclude(running, Outcome(state))


def state(house: House) -> str:
    return house.detail(1).deployment.state.value


@pytest.mark.parametrize("ended", [RunState.FAILED, RunState.UNKNOWN, RunState.CANCELLED])
@pytest.mark.parametrize("guided", [True, False])
def test_what_was_at_work_on_a_machine_when_it_was_left_out_neither_runs_again_nor_counts(
    house: House, ended: RunState, guided: bool
) -> None:
    runs = begun(
        house,
        rolling(step(BAD_ON_1, "One", touches=["a"]), on_failure="exclude", max_parallel=2),
        step("true\n", "Two", retries=1, on_unknown="ask", **BESIDE),
        guided_failure=guided,
    )
    running = claimed(house, runs.pop("Two on web-1"))
    first = runs.pop("One on web-1")
    house.execute(first)
    if guided:
        house.answers.answer(first.run_id, Answer.EXCLUDE, "ann")
    for run in runs.values():
        house.execute(run)
    ends(house, running, ended)
    house.deliver_all()
    assert [run.attempt for run in house.detail(1).runs] == [1] * 4
    assert house.queries.inbox() == []
    assert (states(house, 1)["Two", "web-1"], state(house)) == (ended.value, "succeeded")
    assert house.held() == {}


def test_what_had_not_begun_on_a_machine_when_it_was_left_out_never_does(house: House) -> None:
    runs = begun(
        house,
        step(BAD_ON_1, "One", touches=["a"]),
        step("true\n", "Two", **BESIDE),
        guided_failure=True,
    )
    running = claimed(house, runs["Two on web-1"])  # its worker is lost before it begins it
    house.execute(runs["One on web-1"])
    house.answers.answer(runs["One on web-1"].run_id, Answer.EXCLUDE, "ann")
    assert not house.step_runs.claims.put_back(running)


def test_what_asks_on_a_machine_asks_no_more_once_it_is_left_out(house: House) -> None:
    runs = begun(
        house,
        step(BAD_ON_1, "One", touches=["a"]),
        step(BAD_ON_1, "Two", retries=0, **BESIDE),
        guided_failure=True,
    )
    for run in runs.values():
        house.execute(run)
    assert len(house.queries.inbox()) == 2
    house.answers.answer(runs["One on web-1"].run_id, Answer.EXCLUDE, "ann")
    with pytest.raises(NothingAsked, match="its machine was left out before anybody answered"):
        house.answers.answer(runs["Two on web-1"].run_id, Answer.RETRY, "ann")
    house.deliver_all()
    assert (house.queries.inbox(), state(house)) == ([], "succeeded")


def test_a_deployment_goes_on_when_the_machine_that_asked_is_left_out_for_a_failure(
    house: House,
) -> None:
    runs = begun(
        house,
        rolling(step(BAD_ON_1, "One", touches=["a"]), on_failure="exclude", max_parallel=2),
        step("true\n", "Two", on_unknown="ask", **BESIDE),
        step("true\n", "After"),
    )
    ends(house, claimed(house, runs.pop("Two on web-1")), RunState.UNKNOWN)
    assert state(house) == "paused"
    for run in runs.values():
        house.execute(run)
    house.deliver_all()
    assert (house.queries.inbox(), state(house)) == ([], "succeeded")
    assert house.held() == {}


# ---- nobody left ----

BAD = "exit 1\n"
WEB_AND_DB = [
    machine("web-1", "QA", roles=["web", "first"]),
    machine("web-2", "QA"),
    machine("db-1", "QA", roles=["db"]),
]


def ended(house: House, *process: dict[str, Any], **more: Any) -> tuple[str, str | None]:
    """How a deployment ends, and what is told of it."""
    house.apply(catalog(project("app", process=list(process), **more), machines=WEB_AND_DB))
    number = house.create("app").id
    house.deliver_all()
    deployment = house.detail(number).deployment
    return deployment.state.value, deployment.message


def test_a_group_of_which_no_machine_is_left_fails_its_deployment_whatever_goes_on_elsewhere(
    house: House,
) -> None:
    group = rolling(step(BAD, "A"), roles=["web"], on_failure="exclude", max_parallel=2)
    told = "every machine of Roll was left out"
    assert ended(house, group, step("true\n", "B", roles=["db"])) == ("failed", told)


def test_a_step_whose_machines_were_all_left_out_before_it_fails_its_deployment(
    house: House,
) -> None:
    bad_on_web = 'case "$DEPLOYENGINE_MACHINE" in web-*) exit 1;; esac\n'
    everywhere = rolling(step(bad_on_web, "A"), roles=["web", "db"], on_failure="exclude")
    told = "every machine of B was left out"
    assert ended(house, everywhere, step("true\n", "B", roles=["web"])) == ("failed", told)


def test_what_went_well_on_a_machine_before_it_was_left_out_went_well(house: House) -> None:
    first = {**machine("web-1", "QA"), "roles": ["web", "db"]}
    process = [
        step("true\n", "Migrate", roles=["db"]),
        rolling(step(BAD_ON_1, "One"), on_failure="exclude", max_parallel=2, roles=["web"]),
        step("true\n", "Maybe", roles=["db"], condition="#{Want}"),
    ]
    wants_not = [{"name": "Want", "value": "False"}]
    house.apply(
        catalog(
            project("app", process=process, variables=wants_not),
            machines=[first, machine("web-2", "QA")],
        )
    )
    house.create("app")
    house.deliver_all()
    deployment = house.detail(1).deployment
    assert (deployment.state, deployment.message) == ("succeeded", "without web-1")


def test_what_is_for_failures_or_left_out_here_needs_no_machine(house: House) -> None:
    group = rolling(step(BAD_ON_1, "A"), roles=["web"], on_failure="exclude", max_parallel=2)
    found = ended(
        house,
        group,
        step("true\n", "Undo", roles=["first"], condition="failure"),
        step("true\n", "There", roles=["first"], exclude_environments=["QA"]),
    )
    assert found == ("succeeded", "without web-1")


def test_a_group_that_went_well_before_on_other_machines_is_not_without_any_in_a_retry(
    house: House,
) -> None:
    group = rolling(step(BAD_ON_1, "A"), roles=["web"], on_failure="exclude", max_parallel=2)
    once = step("test -e ../../once\n", "B", roles=["db"])
    assert ended(house, group, once)[0] == "failed"
    (house.settings.home / "once").touch()
    again = house.again.retry(1, Terms()).id
    house.deliver_all()
    found = house.detail(again).deployment
    assert (found.state, found.message) == ("succeeded", "without web-1")
