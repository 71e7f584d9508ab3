"""What becomes of a run whose machine is out of reach, or is not to be used."""

from __future__ import annotations

import pytest

from deployengine.domain.availability import (
    Health,
    MachineMode,
    Policy,
    Reception,
    policy_of,
    reception,
    refusal,
)

IN_USE = [MachineMode.ENABLED, MachineMode.DRAINING]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("health", Health)
def test_nothing_begins_on_a_machine_that_is_disabled(health: Health, policy: Policy) -> None:
    disabled = MachineMode.DISABLED
    assert reception(health, disabled, policy, own=True) is Reception.LEAVE_OUT
    assert reception(health, disabled, policy, own=False) is Reception.FAIL


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("mode", IN_USE)
@pytest.mark.parametrize("health", [Health.UNKNOWN, Health.HEALTHY])
@pytest.mark.parametrize("policy", Policy)
def test_what_is_planned_begins_on_a_machine_of_which_nothing_bad_is_known(
    health: Health, mode: MachineMode, policy: Policy, own: bool
) -> None:
    assert reception(health, mode, policy, own=own) is Reception.BEGIN


@pytest.mark.parametrize(
    ("policy", "known", "found"),
    [
        (Policy.FAIL, Reception.BEGIN, Reception.FAIL),
        (Policy.SKIP, Reception.LEAVE_OUT, Reception.LEAVE_OUT),
        (Policy.WAIT, Reception.WAIT, Reception.WAIT),
    ],
)
@pytest.mark.parametrize("mode", IN_USE)
def test_where_a_machine_is_unavailable_its_project_says_what_happens(
    mode: MachineMode, policy: Policy, known: Reception, found: Reception
) -> None:
    assert reception(Health.UNAVAILABLE, mode, policy, own=True) is known
    assert refusal(policy, own=True) is found


@pytest.mark.parametrize("mode", IN_USE)
def test_a_machine_is_not_left_out_as_another_one_cannot_carry_out_what_is_for_it(
    mode: MachineMode,
) -> None:
    assert reception(Health.UNAVAILABLE, mode, Policy.SKIP, own=False) is Reception.FAIL
    assert refusal(Policy.SKIP, own=False) is Reception.FAIL
    assert refusal(Policy.WAIT, own=False) is Reception.WAIT


def test_a_project_that_says_nothing_wants_the_run_to_fail() -> None:
    assert policy_of({}) is Policy.FAIL
    assert policy_of({"unavailable_machines": "wait"}) is Policy.WAIT
