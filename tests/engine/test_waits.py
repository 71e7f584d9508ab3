"""Why something is not running: one reason for each obstacle, with whoever is in the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import UnknownName
from deployengine.domain.identity import BadId
from deployengine.engine.waits import Reason, Wait
from deployengine.persistence.counters import FENCE
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.fakes import House


def claim(house: House, run: int) -> None:
    """Some worker has begun the run."""
    now = house.clock.now()
    with house.database.write() as tx:
        assert tx.claims.claim(run, "elsewhere", tx.counters.draw(FENCE), now, now)


def only(waits: list[Wait]) -> Wait:
    (wait,) = waits
    return wait


@pytest.fixture
def three(house: House) -> House:
    """Runs 1, 2 and 3 of three projects on one machine, in this order; the first is granted."""
    house.apply(catalog(*(project(n, "true\n") for n in ("one", "two", "three"))))
    for name in ("one", "two", "three"):
        house.create(name)
    house.deliver_chains()
    return house


def test_a_run_waits_for_its_machine_behind_its_holder_at_its_place(three: House) -> None:
    wait = only(three.waits.why("run-3"))
    assert (wait.reason, wait.waits_for, wait.position) == (Reason.MACHINE, "machine:qa-1", 2)
    assert wait.label == "three 1.0 → QA · Install on qa-1"
    assert [(h.id, h.mode.value) for h in wait.holders] == [("run-1", "exclusive")]


def test_without_a_worker_it_is_told_that_none_runs(three: House) -> None:
    wait = only(three.waits.why("run-1"))
    assert wait.waits_for == "a worker, and none is running (deployengine up)"


def test_a_run_that_is_granted_waits_for_a_slot(three: House) -> None:
    three.lease.beat()
    wait = only(three.waits.why("run-1"))
    assert (wait.reason, wait.waits_for) == (Reason.TASK_CAP, "a free slot (task cap)")


def test_a_run_that_runs_waits_for_nothing(three: House) -> None:
    claim(three, 1)
    assert three.waits.why("run-1") == []
    assert three.waits.why("dep-1") == []


def test_what_has_ended_waits_for_nothing(three: House) -> None:
    three.deliver_all()
    for name in ("run-3", "dep-3", "rel-3"):
        assert three.waits.why(name) == []


def test_a_deployment_waits_for_the_tag_that_another_holds(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    first, second = house.create("app", "1.0"), house.create("app", "2.0")
    for name in (f"dep-{second.id}", f"rel-{second.release_id}"):
        wait = only(house.waits.why(name))
        assert (wait.reason, wait.waits_for, wait.position) == (Reason.TAG, "tag:app/QA", 1)
        assert [h.id for h in wait.holders] == [f"dep-{first.id}"]
    assert only(house.waits.why("run-2")).reason is Reason.TAG


def test_a_run_of_a_later_step_waits_for_the_step_before_it(house: House) -> None:
    process = [step("true\n", "Fetch"), step("true\n", "Install")]
    house.apply(catalog(project("app", process=process)))
    house.create("app")
    house.deliver_chains()
    wait = only(house.waits.why("run-2"))
    assert wait.reason is Reason.PHASE
    assert wait.waits_for == "step Fetch to be done on all its machines"
    assert wait.label == "Install on qa-1"


def test_a_run_waits_for_what_its_step_touches(house: House) -> None:
    touching = [step("true\n", touches=["iis"])]
    house.apply(catalog(project("one", process=touching), project("two", process=touching)))
    house.create("one")
    house.create("two")
    house.deliver_chains()
    wait = only(house.waits.why("run-2"))
    assert (wait.reason, wait.waits_for) == (Reason.RESOURCE, "resource:qa-1/iis")
    assert [h.id for h in wait.holders] == ["run-1"]


def test_a_run_with_two_obstacles_is_told_both(house: House) -> None:
    touching = [step("true\n", touches=["iis"])]
    house.apply(
        catalog(
            project("iis", process=touching),
            project("whole", "true\n"),
            project("both", process=touching),
        )
    )
    for name in ("iis", "whole", "both"):
        house.create(name)
    house.deliver_chains()
    waits = house.waits.why("run-3")
    assert {wait.reason for wait in waits} == {Reason.MACHINE, Reason.RESOURCE}


def test_a_release_tells_the_waits_of_all_its_runs(house: House) -> None:
    house.apply(
        catalog(
            project("one", "true\n"),
            project("two", "true\n"),
            machines=[machine("qa-1", "QA"), machine("qa-2", "QA")],
        )
    )
    house.create("one")
    second = house.create("two")
    house.deliver_chains()
    assert [wait.run for wait in house.waits.why(f"rel-{second.release_id}")] == ["run-3", "run-4"]


def test_an_expected_start_comes_from_what_ran_before(house: House) -> None:
    house.apply(catalog(*(project(n, "true\n") for n in ("one", "two", "three", "four"))))
    house.create("one")
    house.deliver_chains()
    assert only(house.waits.why("run-1")).expected_start is None
    claim(house, 1)
    house.clock.advance(10)
    with house.database.write() as tx:
        tx.runs.end(1, RunState.SUCCEEDED, house.clock.now(), 0)
        tx.steps.count_down(1, 0, 1, house.clock.now())
    house.handoff.exchange(leaving=["run-1"])
    house.handoff.resume(1)
    house.deliver_chains()
    for name in ("two", "three", "four"):
        house.create(name)
    house.deliver_chains()
    first, second = (only(house.waits.why(run)).expected_start for run in ("run-3", "run-4"))
    assert first is not None
    assert second is not None
    assert house.clock.now() <= first
    assert (second - first).total_seconds() == 10


def test_a_request_that_the_locks_lost_is_still_explained(three: House) -> None:
    three.redis.flushall()
    wait = only(three.waits.why("run-3"))
    assert wait.reason in (Reason.TASK_CAP, Reason.MACHINE)


@pytest.mark.parametrize("name", ["rel-99", "dep-99", "run-99"])
def test_what_is_not_there_is_unknown(three: House, name: str) -> None:
    with pytest.raises(UnknownName, match=name):
        three.waits.why(name)


@pytest.mark.parametrize("name", ["", "99", "job-1", "run-0", "run-1x"])
def test_what_is_no_id_is_told_so(three: House, name: str) -> None:
    with pytest.raises(BadId):
        three.waits.why(name)


_TRIED = {"name": "Install", "script": "false\n", "retries": 1, "backoff": "10m"}


@pytest.mark.parametrize(
    "process",
    [
        [{**_TRIED, "kind": "script"}],
        [{"name": "Roll", "kind": "rolling", "steps": [{"name": "A", "script": "true\n"}, _TRIED]}],
    ],
    ids=["step", "child of a group"],
)
def test_a_further_attempt_waits_for_the_end_of_the_pause_before_it(
    house: House, process: list[dict[str, Any]]
) -> None:
    house.apply(catalog(project("a", process=process)))
    number = house.create("a").id
    house.deliver_all()
    (wait,) = house.waits.why(f"dep-{number}")
    assert (wait.reason, wait.waits_for) == (Reason.SCHEDULE, "the pause before attempt 2")
    assert wait.expected_start == house.clock.now() + timedelta(minutes=10)
    assert house.waits.why(wait.run) == [wait]
