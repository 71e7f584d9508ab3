"""The links of a chain: in order, late, twice, after a cancel; only the first does anything."""

from __future__ import annotations

import pytest

from deployengine.persistence.records import DeploymentRecord
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House

THREE = [step("true\n", "Fetch"), step("true\n", "Install"), step("true\n", "Check")]


def picture(house: House, number: int) -> object:
    """Everything that the database and Redis say about a deployment."""
    return house.detail(number), house.held()


@pytest.fixture
def begun(house: House) -> DeploymentRecord:
    """A deployment of three steps that has its tag; its chain lies with the test."""
    house.apply(catalog(project("app", process=THREE)))
    deployment = house.create("app")
    house.dispatcher.lose()
    return deployment


def test_begin_twice_begins_once_and_goes_on_both_times(
    house: House, begun: DeploymentRecord
) -> None:
    assert house.phases.begin(begun.id)
    before = picture(house, begun.id)
    house.clock.advance(60)
    assert house.phases.begin(begun.id)
    assert picture(house, begun.id) == before


def test_a_step_that_is_open_is_not_opened_again(house: House, begun: DeploymentRecord) -> None:
    house.phases.begin(begun.id)
    assert not house.phases.open_stage(begun.id, 0)
    before = picture(house, begun.id)
    house.dispatcher.lose()
    assert not house.phases.open_stage(begun.id, 0)
    assert picture(house, begun.id) == before
    assert house.dispatcher.quiet


def test_a_step_that_is_done_lets_a_late_link_go_on_and_changes_nothing(
    house: House, begun: DeploymentRecord
) -> None:
    house.phases.begin(begun.id)
    house.phases.open_stage(begun.id, 0)
    house.deliver_runs()
    before = picture(house, begun.id)
    assert house.phases.open_stage(begun.id, 0)
    assert picture(house, begun.id) == before


def test_a_step_is_not_opened_before_its_deployment_has_begun(
    house: House, begun: DeploymentRecord
) -> None:
    before = picture(house, begun.id)
    assert not house.phases.open_stage(begun.id, 0)
    assert picture(house, begun.id) == before
    assert house.dispatcher.quiet


def test_finish_before_the_steps_are_done_changes_nothing(
    house: House, begun: DeploymentRecord
) -> None:
    house.phases.begin(begun.id)
    house.phases.open_stage(begun.id, 0)
    before = picture(house, begun.id)
    house.phases.finish(begun.id)
    assert picture(house, begun.id) == before


def test_finish_twice_ends_once(house: House, begun: DeploymentRecord) -> None:
    house.carry_on(begun.id)
    house.deliver_all()
    before = picture(house, begun.id)
    house.clock.advance(60)
    house.phases.finish(begun.id)
    assert picture(house, begun.id) == before
    assert house.dispatcher.quiet


def test_the_whole_chain_delivered_again_after_the_end_changes_nothing(
    house: House, begun: DeploymentRecord
) -> None:
    house.carry_on(begun.id)
    (chain,) = house.dispatcher.chains
    house.deliver_all()
    before = picture(house, begun.id)
    house.clock.advance(60)
    house.carry(chain)
    house.deliver_all()
    assert picture(house, begun.id) == before


def test_every_link_delivered_twice_runs_every_script_once(house: House) -> None:
    said = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
    house.apply(catalog(project("app", process=[step(said, "Fetch"), step(said, "Install")])))
    number = house.create("app").id
    while house.dispatcher.chains or house.dispatcher.granted:
        for links in house.dispatcher.take_chains():
            house.carry(links)
            house.carry(links)
        for run in house.dispatcher.take_runs():
            house.execute(run)
            house.execute(run)
    assert house.detail(number).deployment.state == "succeeded"
    assert (house.workdir("qa-1") / "ran").read_text().splitlines() == ["Fetch", "Install"]


@pytest.mark.parametrize("number", [99, 0])
def test_links_of_a_deployment_that_is_not_there_do_nothing(house: House, number: int) -> None:
    assert not house.phases.begin(number)
    assert not house.phases.open_stage(number, 0)
    house.phases.finish(number)
    assert house.dispatcher.quiet


def test_steps_run_in_order_each_after_the_one_before(
    house: House, begun: DeploymentRecord
) -> None:
    house.carry_on(begun.id)
    house.deliver_chains()
    seen = [house.states(begun.id)]
    while house.deliver_runs():
        house.deliver_chains()
        seen.append(house.states(begun.id))
    assert seen == [
        ["granted", "pending", "pending"],
        ["succeeded", "granted", "pending"],
        ["succeeded", "succeeded", "granted"],
        ["succeeded", "succeeded", "succeeded"],
    ]
    assert house.detail(begun.id).deployment.state == "succeeded"
    # No run gets its ticket before its step is ready.
    first, second, third = (run.ticket or 0 for run in house.detail(begun.id).runs)
    assert begun.ticket < first < second < third


def test_a_step_waits_for_all_machines_of_the_one_before(house: House) -> None:
    machines = [machine("qa-1", "QA"), machine("qa-2", "QA")]
    house.apply(catalog(project("app", process=THREE[:2]), machines=machines))
    number = house.create("app").id
    house.deliver_chains()
    first, second = house.dispatcher.take_runs()
    house.execute(first)
    assert not house.dispatcher.chains
    assert house.states(number) == ["succeeded", "granted", "pending", "pending"]
    house.execute(second)
    house.deliver_chains()
    assert house.states(number) == ["succeeded", "succeeded", "granted", "granted"]


def test_a_step_without_machines_is_passed_over(house: House) -> None:
    process = [
        step("true\n", "Fetch"),
        step("true\n", "Migrate", roles=["database"]),
        step("true\n", "Check"),
    ]
    machines = [machine("qa-1", "QA"), machine("far", "Far", roles=["database"])]
    house.apply(
        catalog(project("app", process=process), environments=["QA", "Far"], machines=machines)
    )
    number = house.create("app").id
    house.deliver_all()
    detail = house.detail(number)
    assert detail.deployment.state == "succeeded"
    assert [(run.step, run.state.value) for run in detail.runs] == [
        (0, "succeeded"),
        (2, "succeeded"),
    ]


def test_a_failed_step_skips_those_after_it_and_fails_the_deployment(house: House) -> None:
    process = [THREE[0], step("exit 3\n", "Install"), THREE[2]]
    house.apply(catalog(project("app", process=process)))
    number = house.create("app").id
    house.deliver_all()
    detail = house.detail(number)
    assert house.states(number) == ["succeeded", "failed", "skipped"]
    assert detail.deployment.state == "failed"
    assert detail.deployment.message == "a step failed on qa-1"
    assert house.held() == {}


def test_many_failures_are_counted_rather_than_listed(house: House) -> None:
    house.apply(catalog(project("app", "exit 3\n"), machines=[machine("qa-[1:7]", "QA")]))
    number = house.create("app").id
    house.deliver_all()
    message = house.detail(number).deployment.message
    assert message == "a step failed on qa-1, qa-2, qa-3, qa-4, qa-5 and 2 more"


# ---- cancel ----


def assert_cancelled(house: House, number: int, *states: str) -> None:
    detail = house.detail(number)
    assert detail.deployment.state == "cancelled"
    assert detail.deployment.message == "cancelled"
    assert house.states(number) == list(states)
    assert house.held() == {}


def test_a_deployment_cancelled_before_it_began_never_begins(
    house: House, begun: DeploymentRecord
) -> None:
    house.deployments.cancel(begun.id)
    assert_cancelled(house, begun.id, "cancelled", "cancelled", "cancelled")
    assert not house.phases.begin(begun.id)
    assert not house.phases.open_stage(begun.id, 0)
    house.phases.finish(begun.id)
    assert_cancelled(house, begun.id, "cancelled", "cancelled", "cancelled")
    assert house.dispatcher.quiet


def test_a_deployment_cancelled_between_two_steps_opens_no_further_one(
    house: House, begun: DeploymentRecord
) -> None:
    house.carry_on(begun.id)
    house.deliver_chains()
    house.deliver_runs()
    house.deployments.cancel(begun.id)  # the first step is done, the second not yet open
    house.deliver_all()
    assert_cancelled(house, begun.id, "succeeded", "cancelled", "cancelled")


def test_a_deployment_cancelled_while_its_run_is_granted_frees_the_machine_for_the_next(
    house: House,
) -> None:
    house.apply(catalog(project("app", "true\n"), project("shop", "true\n")))
    first, second = house.create("app").id, house.create("shop").id
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()
    house.deployments.cancel(first)
    (follower,) = house.dispatcher.take_runs()
    assert house.execute(granted) is None  # its message comes late
    assert house.execute(follower) is not None
    house.deliver_all()
    assert_cancelled(house, first, "cancelled")
    assert house.detail(second).deployment.state == "succeeded"


def test_a_deployment_cancelled_while_it_waits_leaves_its_place_in_the_line(
    house: House,
) -> None:
    house.apply(catalog(*(project(name, "true\n") for name in ("one", "two", "three"))))
    one, two, three = (house.create(name).id for name in ("one", "two", "three"))
    house.deliver_chains()
    house.deployments.cancel(two)
    holders, waiters = house.held()["machine:qa-1"]
    assert (len(holders), len(waiters)) == (1, 1)
    house.deliver_all()
    states = [house.detail(n).deployment.state.value for n in (one, two, three)]
    assert states == ["succeeded", "cancelled", "succeeded"]
    assert house.held() == {}


def test_cancelling_again_or_after_the_end_changes_nothing(
    house: House, begun: DeploymentRecord
) -> None:
    house.carry_on(begun.id)
    house.deliver_all()
    before = picture(house, begun.id)
    house.clock.advance(60)
    assert house.deployments.cancel(begun.id).state == "succeeded"
    assert picture(house, begun.id) == before
    assert house.dispatcher.quiet


# ---- the task tag ----


def test_two_releases_of_a_project_are_never_in_one_environment_at_once(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    first, second = house.create("app", "1.0").id, house.create("app", "2.0").id
    assert house.held()["tag:app/QA"] == ([f"dep-{first}"], [f"dep-{second}"])
    house.deliver_chains()
    assert house.detail(second).deployment.state == "queued"
    house.deliver_runs()
    house.deliver_chains()  # the finish of the first lets the second in, which is then carried
    assert house.detail(first).deployment.state == "succeeded"
    assert house.detail(second).deployment.state == "running"
    house.deliver_all()
    assert house.detail(second).deployment.state == "succeeded"
    assert house.held() == {}
