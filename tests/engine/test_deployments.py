"""Asking for a deployment by hand: what the lifecycle says, and what there is to run it on."""

from __future__ import annotations

import pytest

from deployengine.domain.errors import UnknownName
from deployengine.engine.deployments import NotReached
from deployengine.engine.intake import NoMachines
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House

STAGES = ("QA", "Staging", "Production")


@pytest.fixture
def house(house: House) -> House:
    """A release of app on a lifecycle by hand; Spare is an environment of no phase."""
    phases = [{"name": stage, "manual": [stage]} for stage in STAGES]
    house.apply(
        catalog(
            project("app", process=[step("true\n", roles=["web"])]),
            environments=[*STAGES, "Spare"],
            machines=[
                machine("qa-1", "QA"),
                machine("stg-1", "Staging"),
                machine("prod-1", "Production", roles=["database"]),
            ],
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    house.releases.create(Wanted("app", "1.0"))
    return house


def test_an_environment_that_is_not_automatic_is_deployed_to_when_somebody_asks(
    house: House,
) -> None:
    assert house.queries.deployments() == []
    deployment = house.deployments.deploy("app", "1.0", "QA")
    assert (deployment.state, deployment.automatic, deployment.phase) == ("queued", False, "QA")
    house.deliver_all()
    assert house.detail(deployment.id).deployment.state == "succeeded"
    assert len(house.queries.deployments()) == 1, "nothing follows by itself"


def test_an_environment_is_closed_until_the_phase_before_it_is_complete(house: House) -> None:
    with pytest.raises(NotReached) as refused:
        house.deployments.deploy("app", "1.0", "Staging")
    assert "app 1.0 may not enter Staging yet" in str(refused.value)
    assert "phase QA comes first: QA" in str(refused.value)
    house.deployments.deploy("app", "1.0", "QA")
    with pytest.raises(NotReached):
        house.deployments.deploy("app", "1.0", "Staging")  # on its way is not there
    house.deliver_all()
    assert house.deployments.deploy("app", "1.0", "Staging").environment == "Staging"


def test_a_failure_in_a_phase_does_not_complete_it(house: House) -> None:
    number = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_chains()
    house.deployments.cancel_run(house.detail(number).runs[0].id)
    house.deliver_all()
    assert house.detail(number).deployment.state == "failed"
    with pytest.raises(NotReached, match="may not enter Staging yet"):
        house.deployments.deploy("app", "1.0", "Staging")


def test_an_environment_of_no_phase_is_never_reached_and_the_others_are_named(
    house: House,
) -> None:
    with pytest.raises(NotReached, match="QA, Staging, Production"):
        house.deployments.deploy("app", "1.0", "Spare")


def test_a_deployment_that_could_run_nowhere_is_refused_and_leaves_nothing(
    house: House,
) -> None:
    for stage in STAGES[:2]:
        house.deployments.deploy("app", "1.0", stage)
        house.deliver_all()
    with pytest.raises(NoMachines, match="no step with a machine in Production"):
        house.deployments.deploy("app", "1.0", "Production")
    assert len(house.queries.deployments()) == 2
    assert house.dispatcher.quiet


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("aap", "1.0", "QA"), "there is no project 'aap'; did you mean 'app'?"),
        (("app", "1.00", "QA"), "there is no release of app with version '1.00'"),
        (("app", "1.0", "Stagin"), "there is no environment 'Stagin'; did you mean 'Staging'?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(
    house: House, asked: tuple[str, str, str], said: str
) -> None:
    with pytest.raises(UnknownName) as refused:
        house.deployments.deploy(*asked)
    assert said in str(refused.value)


def test_the_same_release_may_be_deployed_again_by_hand(house: House) -> None:
    for _ in range(2):
        house.deployments.deploy("app", "1.0", "QA")
        house.deliver_all()
    assert [d.state.value for d in house.queries.deployments()] == ["succeeded", "succeeded"]


def test_a_deployment_that_is_not_there_cannot_be_cancelled(house: House) -> None:
    with pytest.raises(UnknownName, match="there is no deployment 'dep-99'"):
        house.deployments.cancel(99)


def test_todays_machines_take_the_release_and_those_that_are_gone_do_not(house: House) -> None:
    house.apply(
        catalog(
            project("app", process=[step("true\n", roles=["web"])]),
            environments=[*STAGES, "Spare"],
            machines=[machine("qa-2", "QA"), machine("qa-3", "QA")],
            lifecycles=[{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
        )
    )
    number = house.deployments.deploy("app", "1.0", "QA").id
    assert [run.machine for run in house.detail(number).runs] == ["qa-2", "qa-3"]
