"""States: which of them are the end, and what a release's deployments say of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.deployment import (
    DeploymentState,
    ReleaseState,
    RunState,
    release_state,
)

D = DeploymentState


def test_the_final_states_are_those_that_nothing_leaves() -> None:
    assert {s.value for s in D if s.final} == {"succeeded", "failed", "cancelled", "superseded"}
    assert {s.value for s in RunState if s.final} == {
        "succeeded",
        "failed",
        "skipped",
        "cancelled",
        "unknown",
    }


def test_states_print_as_the_words_of_the_interface() -> None:
    assert [str(state) for state in D] == [
        *("queued", "running", "paused", "succeeded", "failed", "cancelled", "superseded"),
    ]
    assert [str(state) for state in RunState] == [
        *("pending", "waiting", "granted", "running", "succeeded", "failed"),
        *("skipped", "cancelled", "unknown"),
    ]


@pytest.mark.parametrize(
    ("latest", "state"),
    [
        (set(), "created"),
        ({D.QUEUED}, "queued"),
        ({D.RUNNING}, "running"),
        ({D.PAUSED}, "running"),
        ({D.SUCCEEDED}, "succeeded"),
        ({D.FAILED}, "failed"),
        ({D.CANCELLED}, "cancelled"),
        ({D.SUPERSEDED}, "cancelled"),
        ({D.SUCCEEDED, D.QUEUED}, "running"),
        ({D.SUCCEEDED, D.RUNNING}, "running"),
        ({D.SUCCEEDED, D.FAILED}, "failed"),
        ({D.SUCCEEDED, D.CANCELLED}, "cancelled"),
        ({D.FAILED, D.CANCELLED}, "failed"),
        ({D.FAILED, D.RUNNING}, "running"),
    ],
)
def test_a_release_is_as_far_as_its_latest_deployments_say(
    latest: set[DeploymentState], state: str
) -> None:
    assert release_state(latest) == state


@given(st.sets(st.sampled_from(list(D))))
def test_a_release_is_at_rest_exactly_when_all_its_deployments_are(
    latest: set[DeploymentState],
) -> None:
    moving = release_state(latest) in (ReleaseState.QUEUED, ReleaseState.RUNNING)
    assert moving is any(not state.final for state in latest)


@given(st.sets(st.sampled_from(list(D)), min_size=1))
def test_a_release_has_succeeded_only_where_all_its_deployments_have(
    latest: set[DeploymentState],
) -> None:
    assert (release_state(latest) is ReleaseState.SUCCEEDED) is (latest == {D.SUCCEEDED})
