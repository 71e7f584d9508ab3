"""What follows an end: nothing, a further attempt, or a question; by what the step says."""

from __future__ import annotations

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.project import OnStale, OnUnknown, Step
from deployengine.domain.sequel import MOST_RERUNS, Sequel, sequel

FAILED, UNKNOWN, SUCCEEDED = RunState.FAILED, RunState.UNKNOWN, RunState.SUCCEEDED

FAIL = Step("Install", "true", retries=1)
ASK = Step("Install", "true", retries=1, on_unknown=OnUnknown.ASK)
RERUN = Step("Install", "true", retries=1, idempotent=True, on_unknown=OnUnknown.RERUN)


@pytest.mark.parametrize(
    ("step", "ends", "follows"),
    [
        (FAIL, [SUCCEEDED], Sequel.NOTHING),
        (FAIL, [FAILED], Sequel.AGAIN),
        (FAIL, [FAILED, FAILED], Sequel.NOTHING),
        (FAIL, [RunState.CANCELLED], Sequel.NOTHING),
        (FAIL, [UNKNOWN], Sequel.NOTHING),
        (FAIL, [FAILED, UNKNOWN], Sequel.NOTHING),
        (ASK, [UNKNOWN], Sequel.ASK),
        (ASK, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN], Sequel.ASK),
        (ASK, [UNKNOWN, SUCCEEDED], Sequel.NOTHING),
        (RERUN, [UNKNOWN], Sequel.AGAIN),
        (RERUN, [UNKNOWN, SUCCEEDED], Sequel.NOTHING),
    ],
)
def test_what_follows_is_what_the_step_says(
    step: Step, ends: list[RunState], follows: Sequel
) -> None:
    assert sequel(step, ends, over=False) is follows


def test_an_unknown_end_uses_no_retry_up() -> None:
    for step in (ASK, RERUN):
        assert sequel(step, [UNKNOWN, UNKNOWN, FAILED], over=False) is Sequel.AGAIN
        assert sequel(step, [UNKNOWN, FAILED, FAILED], over=False) is Sequel.NOTHING


def test_what_never_ends_in_a_way_that_is_known_is_not_run_for_ever() -> None:
    assert sequel(RERUN, [UNKNOWN] * MOST_RERUNS, over=False) is Sequel.AGAIN
    assert sequel(RERUN, [UNKNOWN] * (MOST_RERUNS + 1), over=False) is Sequel.NOTHING


def test_a_known_end_between_begins_the_count_of_reruns_anew() -> None:
    before = [UNKNOWN] * MOST_RERUNS + [FAILED]
    assert sequel(RERUN, [*before, UNKNOWN], over=False) is Sequel.AGAIN


@pytest.mark.parametrize("step", [FAIL, ASK, RERUN])
@pytest.mark.parametrize("end", [FAILED, UNKNOWN])
def test_nothing_follows_where_it_is_over(step: Step, end: RunState) -> None:
    assert sequel(step, [end], over=True) is Sequel.NOTHING


def test_a_step_reads_its_policies_and_fails_and_waits_where_it_says_nothing() -> None:
    plain = {"name": "Install", "script": "true"}
    old = Step.from_document(plain)
    assert (old.on_unknown, old.on_stale) == (OnUnknown.FAIL, OnStale.WAIT)
    new = Step.from_document({**plain, "on_unknown": "ask", "on_stale": "terminate"})
    assert (new.on_unknown, new.on_stale) == (OnUnknown.ASK, OnStale.TERMINATE)
