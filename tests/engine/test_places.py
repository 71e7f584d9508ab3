"""Places: who cannot see a worker's tickets takes none of its runs over, nor takes them for lost.

Houses with homes of their own over one database are workers on several hosts, each with local
machines of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.lease import Lease
from deployengine.engine.recovery import LOST_AFTER
from deployengine.engine.step_runs import Outcome
from deployengine.steps.contract import State
from tests.engine.test_pick_up import (
    HELD,
    PATIENCE,
    await_state,
    claim,
    killed,
    look,
    ran,
    see_to_the_end,
    ticket,
    until_lost,
)
from tests.engine.test_step_runs import granted, output, stored, under_way
from tests.steps.gates import Gate
from tests.support.fakes import House

#: A script that leaves a trace and ends.
ONCE = "echo once >> ran\n"


@pytest.fixture
def elsewhere(house: House, tmp_path: Path) -> Iterator[House]:
    """A worker over the same database and Redis, in another place."""
    shared = {
        "database_url": house.settings.database_url,
        "master_key": house.settings.master_key,
    }
    with House(tmp_path / "elsewhere", house.redis, house.clock, **shared) as elsewhere:
        elsewhere.lease.beat()
        yield elsewhere


@pytest.fixture
def beside(house: House) -> Iterator[House]:
    """A worker in the same place."""
    with house.neighbour() as beside:
        beside.lease.beat()
        yield beside


class PlacelessHouse(House):
    """A worker of which nobody knows where its machines' folders lie."""

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.database, self.beats, self.clock, "placeless", 1, self.settings.lease)


@pytest.fixture
def placeless(house: House) -> Iterator[House]:
    """Such a worker, in the same home."""
    key = house.settings.master_key
    with PlacelessHouse(house.settings.home, house.redis, house.clock, master_key=key) as placeless:
        placeless.lease.beat()
        yield placeless


def look_for_long(house: House) -> None:
    """The worker and its housekeeping look around, again and again."""
    for _ in range(5):
        look(house)
        house.pick_up.join()
        house.recovery.sweep()
        house.deliver_all()
        house.tidiness.look()
        house.clock.advance(LOST_AFTER / 2)


def trace(house: House) -> list[str]:
    """What scripts have left in this home."""
    return sorted(str(path) for path in house.settings.home.glob("machines/*/*"))


def test_two_homes_are_two_places_and_processes_of_one_home_are_in_one(
    house: House, beside: House, elsewhere: House
) -> None:
    house.lease.beat()
    with house.database.read() as tx:
        places = {worker.name: worker.place for worker in tx.workers.at_work()}
    assert places[house.lease.name] == places[beside.lease.name] is not None
    assert places[house.lease.name] != places[elsewhere.lease.name] is not None


def test_a_script_is_left_to_those_who_are_where_it_runs(
    house: House, beside: House, elsewhere: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    begun = stored(house, run)
    look_for_long(elsewhere)
    assert stored(house, run) == begun, "neither taken over nor revoked nor put back"
    assert ticket(house, run).status().state is State.RUNNING
    look(beside)
    assert stored(house, run).worker == beside.lease.name
    go.let()
    beside.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n"
    assert ran(house) == ["once"]
    assert trace(elsewhere) == []


def test_a_worker_that_fell_silent_is_lost_to_all_and_its_script_goes_on_where_it_is(
    house: House, beside: House, elsewhere: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.let_go()
        assert future.result(PATIENCE) is None
    until_lost(house, elsewhere)
    elsewhere.pick_up.join()
    assert stored(house, run).worker == house.lease.name
    look(beside)
    assert stored(house, run).worker == beside.lease.name
    go.let()
    beside.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert ran(house) == ["once"]
    assert trace(elsewhere) == []


def test_a_run_that_may_never_have_begun_is_not_put_back_by_who_cannot_see_its_machine(
    house: House, beside: House, elsewhere: House
) -> None:
    run = granted(house, ONCE)
    claim(house, run)
    house.lease.leave()
    claimed = stored(house, run)
    look_for_long(elsewhere)
    assert stored(house, run) == claimed
    assert elsewhere.dispatcher.quiet
    assert not (elsewhere.settings.home / "tickets" / "qa-1" / ".fences").exists()
    see_to_the_end(beside)
    assert stored(house, run).state is RunState.WAITING
    beside.deliver_all()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert ran(house) == ["once"]


def test_a_script_that_ended_with_its_worker_is_recorded_by_who_can_read_its_end(
    house: House, beside: House, elsewhere: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    go.let()
    await_state(house, run, State.EXITED)
    look_for_long(elsewhere)
    assert stored(house, run).state is RunState.RUNNING
    see_to_the_end(beside)
    assert stored(house, run).state is RunState.SUCCEEDED
    assert ran(house) == ["once"]
    assert trace(elsewhere) == []


def test_what_is_put_back_where_it_was_may_begin_in_any_place(
    house: House, beside: House, elsewhere: House
) -> None:
    run = granted(house, ONCE)
    claim(house, run)
    house.lease.leave()
    see_to_the_end(beside)
    (again,) = beside.dispatcher.take_runs()
    assert elsewhere.execute(again) == Outcome(RunState.SUCCEEDED, 0)
    assert (ran(house), ran(elsewhere)) == ([], ["once"])


def test_the_run_of_a_worker_without_a_place_may_be_taken_over_from_anywhere(
    house: House, placeless: House, elsewhere: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(placeless, run, ready)
    look(elsewhere)
    elsewhere.pick_up.join()
    assert stored(house, run).worker != placeless.lease.name
    go.let()


def test_who_has_no_place_takes_over_from_any_place(
    house: House, placeless: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    look(placeless)
    assert stored(house, run).worker == placeless.lease.name
    go.let()
    placeless.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert ran(house) == ["once"]


def test_the_run_of_a_worker_that_nobody_knows_may_be_taken_over_from_anywhere(
    house: House, elsewhere: House
) -> None:
    run = granted(house, ONCE)
    now = house.clock.now()
    with house.database.write() as tx:
        assert tx.claims.claim(run.run_id, "forgotten", 1, now, now)
    see_to_the_end(elsewhere)
    assert stored(house, run).state is RunState.WAITING


def test_a_worker_that_goes_on_under_another_name_is_still_in_its_place(
    house: House, elsewhere: House
) -> None:
    house.lease.beat()
    until_lost(house, elsewhere)
    before = house.lease.name
    house.lease.beat()
    assert house.lease.name != before
    with house.database.read() as tx:
        places = {worker.name: worker.place for worker in tx.workers.at_work()}
    assert places[house.lease.name] == house.lease.place


def test_a_run_that_nobody_here_can_see_is_told_once_and_given_up_when_it_is_cancelled(
    house: House,
    elsewhere: House,
    ready: Gate,
    go: Gate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    look(elsewhere)
    look(elsewhere)
    assert caplog.text.count("only a worker there can go on with it") == 1
    assert stored(house, run).state is RunState.RUNNING

    elsewhere.deployments.cancel(stored(house, run).deployment_id)
    see_to_the_end(elsewhere)
    elsewhere.deliver_chains()

    # It had printed something: it began, and nobody here knows how it ended.
    assert stored(house, run).state is RunState.UNKNOWN
    assert house.detail(stored(house, run).deployment_id).deployment.state == "cancelled"
    assert house.held() == {}
    go.let()


def test_a_cancelled_script_is_ended_by_a_worker_that_is_there_and_not_given_up_elsewhere(
    house: House, beside: House, elsewhere: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    house.deployments.cancel(stored(house, run).deployment_id)
    see_to_the_end(elsewhere)  # is first
    for _ in range(3):
        look(beside)
    beside.pick_up.join()
    assert stored(house, run).state is RunState.CANCELLED
    assert ticket(house, run).status().state is not State.RUNNING
    go.let()
