"""The judge of what people decide: turns, approvals, guidance, times, priorities, shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery.scenario import STAGES
from tests.battery.battlefield import Battlefield
from tests.test_journal import START

PRODUCTION = STAGES["Production"]


@pytest.fixture
def rolling(tmp_path: Path) -> Battlefield:
    """A rolling group of two children; in Production two machines at once, as its window allows.

    Runs 4 to 8 are the first child's, 9 to 13 the second one's, on prod-1 to prod-5.
    """
    field = Battlefield(tmp_path, "roll")
    field.steps(3, "Install", "More")
    for place, machine in enumerate(PRODUCTION):
        at = 30 + 10 * (place // 2)
        field.move(4 + place, at)
        field.later(9 + place, 3, 1, machine, at + 2)
    return field


def test_machines_may_go_two_by_two_through_a_window_of_two(rolling: Battlefield) -> None:
    assert rolling.found() == set()


def test_a_third_machine_under_way_in_a_window_of_two_is_found(rolling: Battlefield) -> None:
    rolling.move(8, 40)
    rolling.move(13, 42)

    assert rolling.found() == {"window"}


def test_a_machine_is_under_way_between_its_two_scripts_as_well(rolling: Battlefield) -> None:
    rolling.move(9, 46)  # prod-1 waits long for its second child, and two others go meanwhile

    assert rolling.found() == {"window"}


def test_each_machine_goes_through_the_children_in_order(rolling: Battlefield) -> None:
    rolling.move(9, 29)  # the second child before the first one, both far from the others

    assert "step order" in rolling.found()


def test_a_machine_is_on_to_its_second_child_before_another_has_its_first(
    rolling: Battlefield,
) -> None:
    rolling.move(5, 31.5)
    rolling.move(9, 31.2)
    rolling.move(10, 33)

    assert rolling.found() == set()


@pytest.mark.parametrize(("project", "broken"), [("pair", set()), ("twin-1", {"step order"})])
def test_steps_that_start_together_may_overlap_and_others_may_not(
    tmp_path: Path, project: str, broken: set[str]
) -> None:
    field = Battlefield(tmp_path, project)
    field.steps(1, "Install", "More")
    field.later(9, 1, 1, "qa-1", at=12)
    field.sql("update step_run set lock_mode = 'shared' where id in (1, 9)")
    assert field.found() == set()

    field.move(9, 10.5)
    assert field.found() == broken


@pytest.fixture
def gate(tmp_path: Path) -> Battlefield:
    """In QA a step, a manual step that asks in run 9, and the step after it at second 15."""
    field = Battlefield(tmp_path, "gate-1")
    field.steps(1, "Install", "Agree", "More")
    field.asks(9, 1, 1)
    field.later(10, 1, 2, "qa-1", at=15)
    plan = field.one("select plan from deployment where id = 1")
    one = '{"name": "Agree", "runs": [{"machine": {"name": "qa-1"}, "claims": []}]}'
    assert one in plan
    plan = plan.replace(one, '{"name": "Agree", "runs": [{"machine": {"name": ""}, "claims": []}]}')
    field.sql("update deployment set plan = ? where id = 1", plan)
    return field


def test_a_deployment_goes_on_when_somebody_has_agreed(gate: Battlefield) -> None:
    gate.request("approve", "run-9", at=13)

    assert gate.found() == set()


def test_a_script_that_began_before_anybody_agreed_is_found(gate: Battlefield) -> None:
    gate.request("approve", "run-9", at=20)

    assert gate.found() == {"approval"}


def test_a_script_after_a_step_that_was_aborted_is_found(gate: Battlefield) -> None:
    gate.request("approve", "run-9", "--abort", at=13)

    assert gate.found() == {"approval", "false success", "unexplained end"}


def test_a_manual_step_that_nobody_answered_is_no_success(gate: Battlefield) -> None:
    assert gate.found() == {"approval", "false success", "unexplained end"}


def test_a_manual_step_fails_when_somebody_has_aborted_it(gate: Battlefield) -> None:
    gate.request("approve", "run-9", "--abort", at=13)
    gate.sql("update step_run set state = 'failed' where id = 9")
    gate.sql("update step_run set state = 'skipped', exit_code = null where id = 10")
    for name in ("run-10.begin", "run-10.end"):
        (gate.home / "machines/qa-1/stamps" / name).unlink()
    gate.arrange("qa-1", 0, 1)
    gate.sql("delete from run_output where run_id = 10")
    gate.sql("update deployment set state = 'failed' where id = 1")

    # What was aborted in QA has no business in Staging.
    assert gate.found() == {"promoted early"}


@pytest.fixture
def guided(tmp_path: Path) -> Battlefield:
    """Of the project whose failures people guide: run 5, on prod-2, failed as it always does."""
    field = Battlefield(tmp_path, "guided")
    field.sql("update step_run set state = 'failed', exit_code = 3 where id = 5")
    field.sql("delete from run_output where run_id = 5")
    return field


def guide(field: Battlefield, how: str) -> None:
    field.sql("update step_run set answered_at='2027-01-15 08:01:00', answer=? where id = 5", how)
    field.request("guide", "run-5", how, at=60)


@pytest.mark.parametrize("how", ["ignore", "exclude"])
def test_a_deployment_succeeds_without_what_people_said_it_may_lack(
    guided: Battlefield, how: str
) -> None:
    guide(guided, how)

    assert guided.found() == set()


def test_a_failure_that_nobody_forgave_makes_no_success(guided: Battlefield) -> None:
    assert guided.found() == {"missing run", "unexplained end"}


@pytest.mark.parametrize(("how", "broken"), [("retry", set()), ("fail", {"attempts"})])
def test_a_failure_is_tried_again_if_somebody_says_so(
    guided: Battlefield, how: str, broken: set[str]
) -> None:
    guide(guided, how)
    guided.again(9, attempt=2, at=70, machine="prod-2")

    assert guided.found() == broken


def test_a_script_that_always_fails_cannot_have_succeeded(tmp_path: Path) -> None:
    assert Battlefield(tmp_path, "guided").found() == {"false success"}


@pytest.fixture
def urgent(tmp_path: Path) -> Battlefield:
    """Another project of a higher priority on qa-1, after the release that comes through there."""
    field = Battlefield(tmp_path)
    field.deployment(4, "urgent", "QA", "qa-1")
    field.sql("update deployment set priority = 1, automatic = 0 where id = 4")
    field.lengths("qa-1", "urgent")
    field.project = "urgent"
    field.run(9, 4, "qa-1", at=12)
    field.print(9, "qa-1")
    field.sql("update step_run set ticket = 100 where id = 1")
    field.sql("update step_run set ticket = 1, ready_at = '2027-01-15 08:00:09' where id = 9")
    return field


def test_who_comes_later_with_a_higher_priority_may_begin_after_who_had_begun(
    urgent: Battlefield,
) -> None:
    assert urgent.found() == set()


def test_a_run_that_was_claimed_while_a_more_urgent_one_waited_is_found(
    urgent: Battlefield,
) -> None:
    urgent.sql("update step_run set ready_at = '2027-01-15 08:00:05' where id = 9")

    assert urgent.found() == {"priority"}


@pytest.mark.parametrize("how", [("top", "dep-4"), ("prioritise", "dep-4", "2")])
def test_who_was_moved_in_line_meanwhile_is_not_held_to_an_order(
    urgent: Battlefield, how: tuple[str, ...]
) -> None:
    urgent.sql("update step_run set ready_at = '2027-01-15 08:00:05' where id = 9")
    urgent.request("deployment", *how, at=11)

    assert urgent.found() == set()


def test_a_script_that_ran_under_a_grant_that_was_taken_back_is_found(tmp_path: Path) -> None:
    field = Battlefield(tmp_path)
    grant = "update step_run set granted_at = '2027-01-15 08:00:29' where id = 8"
    field.sql(grant)
    back = "update step_run set recalled = '[\"2027-01-15T08:00:{}+00:00\"]' where id = 8"
    field.sql(back.format(28))
    assert field.found() == set()

    field.sql(back.format(29))
    assert field.found() == {"recalled"}


@pytest.mark.parametrize(("second", "broken"), [(30, set()), (35, {"too early"})])
def test_a_script_that_began_before_its_deployments_time_is_found(
    tmp_path: Path, second: int, broken: set[str]
) -> None:
    field = Battlefield(tmp_path)
    not_before = f"2027-01-15 08:00:{second}"
    field.sql("update deployment set not_before = ? where id = 3", not_before)
    assert field.found() == broken

    field.ledger.note("clock of a process wrong by an hour")
    assert field.found() == set()


@pytest.mark.parametrize(("at", "broken"), [(-2, set()), (5, {"too early"})])
def test_a_deployment_for_a_time_that_was_granted_is_there(
    tmp_path: Path, at: int, broken: set[str]
) -> None:
    field = Battlefield(tmp_path)
    field.sql("update deployment set not_before = '2027-01-15 08:00:00', automatic = 0 where id=1")
    field.given.clear()
    field.request("release", "deploy", "app-1", "1.0", "QA", "--at", "+1.5s", at=at)

    assert field.found() == broken


@pytest.mark.parametrize(("second", "broken"), [("08:00:59", set()), ("08:01:03", {"freeze"})])
def test_a_deployment_that_began_in_a_freeze_is_found(
    tmp_path: Path, second: str, broken: set[str]
) -> None:
    field = Battlefield(tmp_path, "frozen")
    field.sql(f"update deployment set started_at = '2027-01-15 {second}' where id = 3")

    assert field.found() == broken


def test_a_freeze_that_somebody_may_override_is_overridden_by_his_deployment_alone(
    tmp_path: Path,
) -> None:
    field = Battlefield(tmp_path, "frozen")
    field.sql("update deployment set started_at = '2027-01-15 08:01:03' where id = 3")
    field.request(
        "release", "deploy", "frozen", "1.0", "Production", "--override-freeze", "x", at=1
    )
    assert "freeze" in field.found()

    field.sql("update deployment set automatic = 0 where id = 3")
    assert "freeze" not in field.found()


@pytest.mark.parametrize(("second", "broken"), [("08:02:00", set()), ("08:01:01", {True})])
def test_a_schedule_whose_time_was_taken_twice_is_found(
    tmp_path: Path, second: str, broken: set[bool]
) -> None:
    field = Battlefield(tmp_path)
    field.sql("update deployment set created_at = '2027-01-15 08:00:20'")
    for number, created in ((2, "08:01:00"), (3, second)):
        field.sql(
            "update deployment set requested_by = 'schedule minutely', created_at = ? where id = ?",
            f"2027-01-15 {created}",
            number,
        )

    assert field.found() == ({"scheduled twice"} if broken else set())


def test_a_deployment_that_was_superseded_and_ran_is_found(tmp_path: Path) -> None:
    field = Battlefield(tmp_path, "hasty")
    field.sql("update deployment set state = 'superseded' where id = 3")

    assert field.found() == {"superseded"}


@pytest.mark.parametrize(("project", "broken"), [("hasty", set()), ("app-1", {"lost"})])
def test_a_hasty_release_may_be_overtaken_by_a_newer_one(
    tmp_path: Path, project: str, broken: set[str]
) -> None:
    field = Battlefield(tmp_path, project)
    field.sql("update deployment set version = '2.0', automatic = 0 where id = 3")
    for machine in PRODUCTION:
        journal = field.journal(machine)
        journal.write_text(journal.read_text().replace(" 1.0 ", " 2.0 "))

    assert field.found() == broken


@pytest.mark.parametrize(("at", "broken"), [(21, set()), (20, {"share"})])
def test_more_scripts_at_once_in_an_environment_than_its_share_are_found(
    tmp_path: Path, at: int, broken: set[str]
) -> None:
    field = Battlefield(tmp_path)
    field.sql("update step_run set lock_mode = 'shared' where machine like 'stg-%'")
    for number, machine in ((9, "stg-1"), (10, "stg-2")):
        field.deployment(number, f"share-{number - 8}", "Staging", machine)
        field.sql("update deployment set automatic = 0 where id = ?", number)
        field.lengths(machine, f"share-{number - 8}")
        field.project = f"share-{number - 8}"
        field.run(number, number, machine, at=at, mode="shared")
        field.print(number, machine)
    assert START  # every second counts from there

    assert field.found() == broken
