"""What becomes of a run whose machine is out of reach, or is not to be used."""

from __future__ import annotations

import pytest

from deployengine.domain.availability import Health, MachineMode, Policy, Reception, reception


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("health", Health)
def test_nothing_begins_on_a_machine_that_is_disabled(health: Health, policy: Policy) -> None:
    assert reception(health, MachineMode.DISABLED, policy) is Reception.LEAVE_OUT


@pytest.mark.parametrize("mode", [MachineMode.ENABLED, MachineMode.DRAINING])
@pytest.mark.parametrize("health", [Health.UNKNOWN, Health.HEALTHY])
@pytest.mark.parametrize("policy", Policy)
def test_what_is_planned_begins_on_a_machine_of_which_nothing_bad_is_known(
    health: Health, mode: MachineMode, policy: Policy
) -> None:
    assert reception(health, mode, policy) is Reception.BEGIN


@pytest.mark.parametrize("mode", [MachineMode.ENABLED, MachineMode.DRAINING])
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.FAIL, Reception.BEGIN),
        (Policy.SKIP, Reception.LEAVE_OUT),
        (Policy.WAIT, Reception.WAIT),
    ],
)
def test_where_a_machine_is_unavailable_its_project_says_what_happens(
    mode: MachineMode, policy: Policy, expected: Reception
) -> None:
    assert reception(Health.UNAVAILABLE, mode, policy) is expected
