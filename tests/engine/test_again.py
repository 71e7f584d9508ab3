"""Again and back: retry, rollback, catching up, parts of a process, blocked releases, cancels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import UnknownName
from deployengine.domain.selection import Selection
from deployengine.engine.again import NoPredecessor, NothingNew, NothingToRetry
from deployengine.engine.deployments import NotReached
from deployengine.engine.endings import Outcome
from deployengine.engine.intake import PLAIN, NoMachines, Terms
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step, three_stages
from tests.engine.test_order import claimed, end
from tests.engine.test_stages import rolling
from tests.support.fakes import House

SAID = 'echo "$DEPLOYENGINE_STEP" >> ran\n'
FAILS = SAID + "test -e mended\n"
TWO = [machine("m-[1:2]", "QA")]
URL = "Octopus.Action[Build].Output.Url"
MANUAL = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


def ran(house: House, name: str = "qa-1") -> list[str]:
    path = house.workdir(name) / "ran"
    return path.read_text().split() if path.exists() else []


def mend(house: House, name: str) -> None:
    house.workdir(name).mkdir(parents=True, exist_ok=True)
    (house.workdir(name) / "mended").touch()


def deployed(house: House, *process: dict[str, Any], **parts: Any) -> int:
    house.apply(catalog(project("app", process=list(process)), **{"machines": TWO, **parts}))
    number = house.create("app").id
    house.deliver_all()
    return number


# ---- retry ----


def test_retry_repeats_all_on_machines_that_failed_and_elsewhere_what_they_have_not_had(
    house: House,
) -> None:
    house.apply(catalog(project("app", "true\n"), machines=TWO))
    mend(house, "m-1")
    failed = deployed(house, step(SAID, "Fetch"), step(FAILS, "Install"), step(SAID, "Check"))
    assert state(house, failed) == "failed"
    mend(house, "m-2")
    again = house.again.retry(failed, PLAIN)
    house.deliver_all()
    assert state(house, again.id) == "succeeded"
    assert ran(house, "m-1") == ["Fetch", "Install", "Check"]
    assert ran(house, "m-2") == ["Fetch", "Install", "Fetch", "Install", "Check"]


def test_retry_of_what_failed_again_goes_on_from_both(house: House) -> None:
    failed = deployed(house, step(SAID, "Fetch"), step(FAILS, "Install"))
    mend(house, "m-1")
    second = house.again.retry(failed, PLAIN)
    house.deliver_all()
    mend(house, "m-2")
    third = house.again.retry(second.id, PLAIN)
    house.deliver_all()
    assert state(house, third.id) == "succeeded"
    assert ran(house, "m-1") == ["Fetch", "Install"] * 2
    assert ran(house, "m-2") == ["Fetch", "Install"] * 3


def test_a_retried_group_goes_through_its_steps_in_their_order(house: House) -> None:
    # A is left on both machines and B on the second only: B's first place is that of A's second.
    here = [{"name": "Here", "value": "False"}]
    here += [{"name": "Here", "value": "True", "scope": {"machines": ["m-2"]}}]
    bad = 'case "$DEPLOYENGINE_MACHINE" in m-2) test -e mended;; esac\n'
    group = rolling(step(SAID, "A", condition="#{Here}"), step(SAID + bad, "B"))
    house.apply(catalog(project("app", variables=here, process=[group]), machines=TWO))
    failed = house.create("app").id
    house.deliver_all()
    mend(house, "m-2")
    again = house.again.retry(failed, PLAIN)
    house.deliver_all()
    assert state(house, again.id) == "succeeded"
    assert ran(house, "m-2") == ["A", "B"] * 2


def test_a_retry_has_what_steps_that_went_well_have_set(house: House) -> None:
    got = f'echo "#{{{URL}}}" >> got\n'
    failed = deployed(
        house,
        step(SAID + "set_output Url x\n", "Build", roles=["build"]),
        step(got + FAILS, "Install", roles=["web"], condition=f"#{{if {URL}}}True#{{/if}}"),
        step(got + FAILS, "Check", roles=["web"]),
        machines=[machine("b-1", "QA", roles=["build"]), machine("m-1", "QA")],
    )
    second = house.again.retry(failed, PLAIN)
    house.deliver_all()
    mend(house, "m-1")
    third = house.again.retry(second.id, PLAIN)
    house.deliver_all()
    assert state(house, third.id) == "succeeded"
    assert (house.workdir("m-1") / "got").read_text().split() == ["x"] * 4
    assert ran(house, "b-1") == ["Build"]


def test_a_retry_has_nothing_that_a_step_has_set_which_is_to_run_again(house: House) -> None:
    ask = SAID + "test -e mended || set_output Old yes\n"
    failed = deployed(
        house,
        step(ask, "Ask"),
        step("#{if Octopus.Action[Ask].Output.Old}exit 1#{/if}\n", "Install"),
        machines=[machine("m-1", "QA")],
    )
    assert state(house, failed) == "failed"
    mend(house, "m-1")
    again = house.again.retry(failed, PLAIN)
    house.deliver_all()
    assert state(house, again.id) == "succeeded"


def test_what_runs_always_and_what_is_for_failures_is_part_of_every_retry(house: House) -> None:
    failed = deployed(
        house,
        step(SAID, "Off", roles=["lb"], condition="always"),
        step(FAILS, "Install", roles=["web"]),
        step(SAID, "Undo", roles=["lb"], condition="failure"),
        step(SAID, "On", roles=["lb"], condition="always"),
        machines=[machine("lb-1", "QA", roles=["lb"]), machine("m-1", "QA")],
    )
    again = house.again.retry(failed, PLAIN)
    house.deliver_all()
    assert ran(house, "lb-1") == ["Off", "Undo", "On"] * 2
    mend(house, "m-1")
    house.again.retry(again.id, PLAIN)
    house.deliver_all()
    assert ran(house, "lb-1")[6:] == ["Off", "On"]


def test_where_a_cancel_came_before_the_next_step_a_retry_goes_on_with_that(house: House) -> None:
    house.apply(catalog(project("app", process=[step(SAID, "Fetch"), step(SAID, "Install")])))
    number = house.create("app").id
    cancelled_while_running(house, number)
    house.again.retry(number, PLAIN)
    house.deliver_all()
    assert ran(house) == ["Install"]


def test_of_what_was_cancelled_when_all_of_it_had_gone_well_nothing_is_retried(
    house: House,
) -> None:
    undo = step(SAID, "Undo", condition="failure")
    house.apply(catalog(project("app", process=[step(SAID), undo])))
    number = house.create("app").id
    cancelled_while_running(house, number)
    with pytest.raises(NothingToRetry, match="is cancelled, but all of it has gone well"):
        house.again.retry(number, PLAIN)


def cancelled_while_running(house: House, number: int) -> None:
    """The one run that is at work goes on to a good end."""
    house.deliver_chains()
    running = claimed(house)
    house.deployments.cancel(number)
    end(house, running)
    house.deliver_all()
    assert state(house, number) == "cancelled"


def test_a_retry_gives_nothing_that_nobody_asks_for_any_more(house: House) -> None:
    def applied(**variable: Any) -> None:
        asked = [{"name": "Who", **variable}]
        house.apply(catalog(project("app", "false\n", variables=asked), lifecycles=MANUAL))

    applied(prompt={})
    house.releases.create(Wanted("app", "1.0"))
    number = house.deployments.deploy("app", "1.0", "QA", Terms(values={"who": "ann"})).id
    house.deliver_all()
    applied(value="bob")
    house.releases.refresh("app", "1.0")
    again = house.again.retry(number, PLAIN)
    assert (again.options or {}).get("values") is None


def test_an_approval_that_was_given_is_not_asked_for_again(house: House) -> None:
    approve = {"name": "Approve", "kind": "manual", "instructions": "look"}
    failed = deployed(house, approve, step(FAILS, "Install"))
    house.answers.answer(1, Answer.PROCEED, "ann")
    house.deliver_all()
    assert state(house, failed) == "failed"
    for name in ("m-1", "m-2"):
        mend(house, name)
    again = house.again.retry(failed, PLAIN)
    house.deliver_all()
    assert state(house, again.id) == "succeeded"


def test_what_succeeded_or_runs_is_not_retried(house: House) -> None:
    number = deployed(house, step(SAID))
    with pytest.raises(NothingToRetry, match="is succeeded"):
        house.again.retry(number, PLAIN)
    with pytest.raises(UnknownName):
        house.again.retry(99, PLAIN)


# ---- rollback ----


def released(house: House, *versions: str) -> None:
    house.apply(three_stages(project("app", SAID)))
    for version in versions:
        house.create("app", version)
        house.deliver_all()


def test_a_rollback_deploys_what_was_there_before_what_is_there_now(house: House) -> None:
    released(house, "1.0", "2.0")
    back = house.again.roll_back("app", "Staging", None, PLAIN)
    house.deliver_all()
    assert (back.version, state(house, back.id)) == ("1.0", "succeeded")


def test_a_second_rollback_goes_further_back_and_never_to_what_was_rolled_back_from(
    house: House,
) -> None:
    released(house, "1.0", "2.0", "3.0")
    for version in ("2.0", "1.0"):
        back = house.again.roll_back("app", "Staging", None, PLAIN)
        house.deliver_all()
        assert (back.version, state(house, back.id)) == (version, "succeeded")
    with pytest.raises(NoPredecessor, match="no release of app is left in Staging"):
        house.again.roll_back("app", "Staging", None, PLAIN)
    assert house.again.roll_back("app", "Staging", "3.0", PLAIN).version == "3.0"


@pytest.mark.parametrize(
    "part", [Selection(machines=("m-1",)), Selection(exclude=("m-1",)), Selection(skip=("A",))]
)
def test_a_rollback_goes_to_no_release_of_which_only_a_part_was_there(
    house: House, part: Selection
) -> None:
    process = [step(SAID, "A"), step(SAID, "B")]
    house.apply(catalog(project("app", process=process), machines=TWO, lifecycles=MANUAL))
    for version, selection in (("1.0", Selection()), ("2.0", part), ("3.0", Selection())):
        house.releases.create(Wanted("app", version))
        house.deployments.deploy("app", version, "QA", Terms(selection=selection))
        house.deliver_all()
    assert house.again.roll_back("app", "QA", None, PLAIN).version == "1.0"


def test_a_release_that_a_retry_brought_to_its_end_is_one_to_roll_back_to(house: House) -> None:
    first = deployed(house, step(FAILS, "Install"))
    for name in ("m-1", "m-2"):
        mend(house, name)
    house.again.retry(first, PLAIN)
    house.deliver_all()
    house.create("app", "2.0")
    house.deliver_all()
    assert house.again.roll_back("app", "QA", None, PLAIN).version == "1.0"


def test_after_a_failure_a_rollback_goes_to_the_last_success_and_not_to_the_one_before(
    house: House,
) -> None:
    fails_at_3 = '[ "$DEPLOYENGINE_RELEASE" != 3.0 ]\n'
    house.apply(catalog(project("app", fails_at_3)))
    for version in ("1.0", "2.0", "3.0"):
        house.create("app", version)
        house.deliver_all()
    assert house.again.roll_back("app", "QA", None, PLAIN).version == "2.0"
    house.deliver_all()
    assert house.again.roll_back("app", "QA", None, PLAIN).version == "1.0"


def test_what_was_asked_for_early_and_came_late_is_what_is_there_now(house: House) -> None:
    house.apply(catalog(project("app", SAID), lifecycles=MANUAL))
    for version in ("1.0", "2.0"):
        house.releases.create(Wanted("app", version))
    later = Terms(not_before=house.clock.now() + timedelta(hours=1))
    house.deployments.deploy("app", "1.0", "QA", later)
    house.deployments.deploy("app", "2.0", "QA")
    house.deliver_all()
    house.clock.advance(3600)
    house.calendar.look()
    house.deliver_all()
    assert house.again.roll_back("app", "QA", None, PLAIN).version == "2.0"


def test_a_rollback_is_not_undone_by_a_promotion_and_promotes_nothing_itself(
    house: House,
) -> None:
    released(house, "1.0", "2.0")
    count = len(house.queries.deployments())
    house.again.roll_back("app", "QA", None, PLAIN)
    house.deliver_all()
    assert len(house.queries.deployments()) == count + 1
    house.deployments.deploy("app", "2.0", "QA")
    house.deliver_all()
    assert len(house.queries.deployments()) == count + 2


def test_a_rollback_may_name_any_release_that_has_succeeded_there(house: House) -> None:
    released(house, "1.0", "2.0", "3.0")
    assert house.again.roll_back("app", "QA", "1.0", PLAIN).version == "1.0"


def test_without_a_predecessor_there_is_nothing_to_roll_back_to(house: House) -> None:
    released(house, "1.0")
    with pytest.raises(NoPredecessor, match="no release of app is left in QA"):
        house.again.roll_back("app", "QA", None, PLAIN)
    with pytest.raises(UnknownName):
        house.again.roll_back("app", "QA", "9.0", PLAIN)
    with pytest.raises(UnknownName):
        house.again.roll_back("app", "Qa", None, PLAIN)
    with pytest.raises(UnknownName, match="project 'apq'; did you mean 'app'"):
        house.again.roll_back("apq", "QA", None, PLAIN)


# ---- parts ----


def test_steps_may_be_skipped_and_machines_left_out(house: House) -> None:
    house.apply(
        catalog(
            project("app", process=[step(SAID, "Fetch"), step(SAID, "Install")]),
            machines=TWO,
            lifecycles=MANUAL,
        )
    )
    house.releases.create(Wanted("app", "1.0"))
    selection = Selection(skip=("Fetch",), exclude=("m-2",))
    number = house.deployments.deploy("app", "1.0", "QA", Terms(selection=selection)).id
    house.deliver_all()
    assert (ran(house, "m-1"), ran(house, "m-2")) == (["Install"], [])
    skipped = house.detail(number).runs[0]
    assert (skipped.state.value, skipped.message) == ("skipped", "skipped on request")


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(skip=("Fech",)), "step of app 'Fech'; did you mean 'Fetch'"),
        (Selection(machines=("m-3",)), "machine of QA 'm-3'"),
        (Selection(skip=("Must",)), "step Must of app is required"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(
    house: House, selection: Selection, said: str
) -> None:
    process = [step(SAID, "Fetch"), step(SAID, "Must", required=True)]
    house.apply(catalog(project("app", process=process), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    with pytest.raises(Exception, match=said):
        house.deployments.deploy("app", "1.0", "QA", Terms(selection=selection))
    assert house.queries.deployments() == []


def test_nothing_left_to_run_is_refused(house: House) -> None:
    house.apply(catalog(project("app", SAID), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    with pytest.raises(NoMachines):
        house.deployments.deploy(
            "app", "1.0", "QA", Terms(selection=Selection(exclude=("m-1", "m-2")))
        )


def test_new_machines_catch_up_with_what_the_others_have(house: House) -> None:
    deployed(house, step(SAID))
    with pytest.raises(NothingNew):
        house.again.catch_up("app", "1.0", "QA", PLAIN)
    house.apply(catalog(project("app", SAID), machines=[machine("m-[1:3]", "QA")]))
    number = house.again.catch_up("app", "1.0", "QA", PLAIN).id
    house.deliver_all()
    assert [run.machine for run in house.detail(number).runs] == ["m-3"]


def test_after_a_failure_and_its_retry_no_machine_is_missing(house: House) -> None:
    mend(house, "m-1")
    failed = deployed(house, step(SAID, "Fetch"), step(FAILS, "Install"))
    mend(house, "m-2")
    house.again.retry(failed, PLAIN)
    house.deliver_all()
    with pytest.raises(NothingNew):
        house.again.catch_up("app", "1.0", "QA", PLAIN)


def test_a_machine_that_failed_since_it_had_all_is_missing(house: House) -> None:
    number = deployed(house, step('test ! -e gone || [ "$DEPLOYENGINE_MACHINE" = m-1 ]\n'))
    assert state(house, number) == "succeeded"
    (house.workdir("m-2") / "gone").touch()
    house.deployments.deploy("app", "1.0", "QA")
    house.deliver_all()
    again = house.again.catch_up("app", "1.0", "QA", PLAIN)
    assert [run.machine for run in house.detail(again.id).runs] == ["m-2"]


def test_where_a_step_was_skipped_on_request_something_is_missing(house: House) -> None:
    process = [step(SAID, "Fetch"), step(SAID, "Install")]
    house.apply(catalog(project("app", process=process), machines=TWO, lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    house.deployments.deploy("app", "1.0", "QA", Terms(selection=Selection(skip=("Fetch",))))
    house.deliver_all()
    house.again.catch_up("app", "1.0", "QA", PLAIN)
    house.deliver_all()
    assert ran(house, "m-1") == ["Install", "Fetch", "Install"]
    with pytest.raises(NothingNew):
        house.again.catch_up("app", "1.0", "QA", PLAIN)


def test_what_a_success_did_not_run_and_machines_without_a_role_are_not_missing(
    house: House,
) -> None:
    deployed(
        house,
        step(SAID, "Install", roles=["web"]),
        step(SAID, "Never", roles=["web"], condition="#{if No}True#{/if}"),
        step(SAID, "Undo", roles=["web"], condition="failure"),
        machines=[machine("m-1", "QA"), machine("db-1", "QA", roles=["db"])],
    )
    with pytest.raises(NothingNew):
        house.again.catch_up("app", "1.0", "QA", PLAIN)
    with pytest.raises(UnknownName, match="'Qa'; did you mean 'QA'"):
        house.again.catch_up("app", "1.0", "Qa", PLAIN)


def test_a_deployment_of_a_part_makes_no_older_one_superseded_nor_is_it_itself(
    house: House,
) -> None:
    house.apply(catalog(project("app", SAID, supersede=True), machines=TWO, lifecycles=MANUAL))
    for version in ("1.0", "2.0"):
        house.releases.create(Wanted("app", version))
    part = Terms(selection=Selection(machines=("m-1",)))
    first = house.deployments.deploy("app", "1.0", "QA", part).id
    second = house.deployments.deploy("app", "2.0", "QA").id
    house.deliver_all()
    assert [state(house, n) for n in (first, second)] == ["succeeded"] * 2


# ---- blocked releases ----


def test_a_blocked_release_goes_no_further_and_says_why_until_it_is_let_go(house: House) -> None:
    house.apply(three_stages(project("app", SAID)))
    first = house.create("app").id
    house.releases.block("app", "1.0", "ann", "a bug")
    house.deliver_all()
    assert state(house, first) == "succeeded"
    assert "kept from Staging by ann: a bug" in (house.detail(first).deployment.message or "")
    with pytest.raises(NotReached, match="kept from going further by ann: a bug"):
        house.deployments.deploy("app", "1.0", "Staging")
    house.deployments.deploy("app", "1.0", "QA")  # where it is already
    house.releases.unblock("app", "1.0")
    number = house.deployments.deploy("app", "1.0", "Staging").id
    house.deliver_all()
    assert state(house, number) == "succeeded"


# ---- cancels ----


def test_one_run_that_waits_can_be_cancelled_and_counts_like_a_failure(house: House) -> None:
    house.apply(catalog(project("app", SAID), machines=TWO))
    number = house.create("app").id
    house.deliver_chains()
    (first, second) = house.dispatcher.take_runs()
    house.deployments.cancel_run(first.run_id)
    assert house.execute(first) is None
    house.execute(second)
    house.deliver_all()
    assert house.states(number) == ["cancelled", "succeeded"]
    deployment = house.detail(number).deployment
    assert (deployment.state.value, deployment.message) == (
        "failed",
        "a step was cancelled on m-1",
    )
    assert house.held() == {}


def test_one_run_that_runs_is_told_to_end_and_keeps_its_machine_until_its_script_is_gone(
    house: House,
) -> None:
    house.apply(catalog(project("a", SAID), project("b", SAID)))
    first = house.create("a").id
    house.deliver_chains()
    (granted,) = house.dispatcher.take_runs()
    running = house.step_runs.claims.claim(granted.run_id, granted.granted_at, "somebody")
    assert running is not None
    house.create("b")
    house.deliver_chains()
    for _ in range(2):  # again changes nothing
        told = house.deployments.cancel_run(running.run.id, "ann")
        assert (told.state, told.cancel_requested_at is not None) == ("running", True)
    assert house.dispatcher.told_cancelled == [running.run.id] * 2
    assert house.held()["machine:qa-1"] == (["run-1"], ["run-2"])
    assert state(house, first) == "running"
    house.step_runs._endings.conclude(running, Outcome(RunState.CANCELLED, None, "cancelled"))
    assert house.held()["machine:qa-1"] == (["run-2"], [])
    house.deliver_all()
    assert state(house, first) == "failed"
    assert house.held() == {}


def test_one_run_that_is_cancelled_leaves_the_line_at_once_and_lets_the_next_one_in(
    house: House,
) -> None:
    house.apply(catalog(*(project(name, SAID) for name in "abc")))
    for name in "abc":
        house.create(name)
    house.deliver_chains()
    house.deployments.cancel_run(2)  # it waits
    assert house.held()["machine:qa-1"] == (["run-1"], ["run-3"])
    house.deployments.cancel_run(1)  # it is granted, and no worker has claimed it
    assert house.held()["machine:qa-1"] == (["run-3"], [])


def test_cancelling_a_release_cancels_all_of_it_that_is_open(house: House) -> None:
    house.apply(catalog(project("app", SAID), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    numbers = [house.deployments.deploy("app", "1.0", "QA").id for _ in range(3)]
    assert len(house.deployments.cancel_release("app", "1.0")) == 3
    house.deliver_all()
    assert {state(house, n) for n in numbers} == {"cancelled"}
    assert house.held() == {}
