"""Claims: the database lets no two runs that clash run at once, whatever Redis granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import FENCE
from deployengine.persistence.records import WHY_LEFT_OUT, RunRecord
from tests.persistence.conftest import NOW, add_deployment, add_release, at_once, drawn, later

EXCLUSIVE, SHARED = Mode.EXCLUSIVE, Mode.SHARED


def ready(
    tx: Transaction,
    project: str,
    mode: Mode = EXCLUSIVE,
    machine: str = "m-1",
    touches: Sequence[Claim] = (),
) -> RunRecord:
    """The one run of a new release, waiting."""
    number = add_deployment(tx, add_release(tx, project))
    tx.runs.add(number, 0, [(machine, mode.value)])
    (run,) = tx.runs.make_ready(number, 0, drawn(tx), NOW)
    tx.claims.touch({run.id: touches})
    return run


def claim(tx: Transaction, run: RunRecord) -> bool:
    """Whether the database lets it run."""
    return tx.claims.claim(run.id, "worker-1", tx.counters.draw(FENCE), NOW, NOW) is not None


@pytest.mark.parametrize("first", Mode)
@pytest.mark.parametrize("second", Mode)
@pytest.mark.parametrize("state", ["waiting", "running", "ended"])
def test_an_earlier_run_is_in_the_way_while_it_is_open_unless_both_share(
    database: Database, first: Mode, second: Mode, state: str
) -> None:
    with database.write() as tx:
        earlier, later = ready(tx, "one", first), ready(tx, "two", second)
        if state != "waiting":
            assert claim(tx, earlier)
        if state == "ended":
            tx.runs.end(earlier.id, RunState.SUCCEEDED, NOW, 0)
        clash = state != "ended" and EXCLUSIVE in (first, second)
        assert [run.id for run in tx.claims.in_the_way(later)] == ([earlier.id] if clash else [])
        assert claim(tx, later) is not clash


@pytest.mark.parametrize(("first", "second"), [(EXCLUSIVE, SHARED), (SHARED, EXCLUSIVE)])
def test_a_later_run_is_in_the_way_of_an_earlier_one_only_once_it_runs(
    database: Database, first: Mode, second: Mode
) -> None:
    with database.write() as tx:
        earlier = ready(tx, "one", first)
        later = ready(tx, "two", second)
        assert tx.claims.in_the_way(earlier) == []
        assert claim(tx, earlier)
        tx.runs.end(earlier.id, RunState.FAILED, NOW, 1)
        assert claim(tx, later)
        # The earlier one is back under its old ticket, as if Redis and the database had parted.
        again = tx.runs.add_attempt(earlier, 0, NOW)
        assert not claim(tx, again)
        assert [run.id for run in tx.claims.in_the_way(again)] == [later.id]


def test_runs_on_other_machines_are_never_in_the_way(database: Database) -> None:
    with database.write() as tx:
        ready(tx, "one", machine="m-1")
        assert claim(tx, ready(tx, "two", machine="m-2"))


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (Claim("resource:a", EXCLUSIVE), Claim("resource:a", EXCLUSIVE), True),
        (Claim("resource:a", EXCLUSIVE), Claim("resource:a", SHARED), True),
        (Claim("resource:a", SHARED), Claim("resource:a", EXCLUSIVE), True),
        (Claim("resource:a", SHARED), Claim("resource:a", SHARED), False),
        (Claim("resource:a", EXCLUSIVE), Claim("resource:b", EXCLUSIVE), False),
    ],
)
def test_what_runs_touch_beside_their_machines_may_clash_across_machines(
    database: Database, first: Claim, second: Claim, clash: bool
) -> None:
    with database.write() as tx:
        earlier = ready(tx, "one", SHARED, "m-1", [first])
        later = ready(tx, "two", SHARED, "m-2", [second, Claim("resource:z", SHARED)])
        assert [run.id for run in tx.claims.in_the_way(later)] == ([earlier.id] if clash else [])
        assert claim(tx, earlier)
        tx.runs.end(earlier.id, RunState.SUCCEEDED, NOW, 0)
        tx.claims.untouch([earlier.id])
        assert tx.claims.in_the_way(later) == []


def test_whoever_is_in_the_way_twice_is_named_once_and_all_in_ticket_order(
    database: Database,
) -> None:
    touched = [Claim("resource:a", EXCLUSIVE)]
    with database.write() as tx:
        first = ready(tx, "one", EXCLUSIVE, "m-1", touched)
        second = ready(tx, "two", EXCLUSIVE, "m-2", touched)
        third = ready(tx, "three", EXCLUSIVE, "m-1", touched)
        assert [run.id for run in tx.claims.in_the_way(third)] == [first.id, second.id]


def test_of_clashing_runs_that_are_claimed_at_once_only_the_first_in_line_runs(
    database: Database,
) -> None:
    with database.write() as tx:
        runs = [ready(tx, f"app-{n}") for n in range(8)]
    waiting = list(runs)

    def claim_one() -> int | None:
        run = waiting.pop()
        with database.write() as tx:
            return run.id if claim(tx, run) else None

    claimed = [number for number in at_once(len(runs), claim_one) if number is not None]
    assert claimed == [runs[0].id]


# ---- taking over ----


def running(tx: Transaction, worker: str = "worker-1", project: str = "app") -> RunRecord:
    """A run that this worker carries out."""
    run = ready(tx, project)
    claimed = tx.claims.claim(run.id, worker, tx.counters.draw(FENCE), NOW, later(1))
    assert claimed is not None
    return claimed


def gone(tx: Transaction, how: str, worker: str = "worker-1") -> None:
    """The worker is there no more, or never was."""
    if how == "unknown":
        return
    tx.workers.enter(worker, 1, NOW)
    if how == "left":
        tx.workers.leave(worker, NOW)
    if how == "lost":
        assert tx.workers.lose(worker, 0, NOW)


@pytest.mark.parametrize("how", ["left", "lost", "unknown"])
def test_a_run_whose_worker_is_gone_goes_to_another_one_under_a_new_fence(
    database: Database, how: str
) -> None:
    with database.write() as tx:
        run = running(tx)
        gone(tx, how)
        assert tx.claims.orphans("worker-2") == [run]
        taken = tx.claims.take_over(run, "worker-2", tx.counters.draw(FENCE))
        assert taken is not None
        assert (taken.worker, taken.fence) == ("worker-2", (run.fence or 0) + 1)
        assert (taken.state, taken.ticket, taken.granted_at, taken.started_at) == (
            *(RunState.RUNNING, run.ticket, run.granted_at, run.started_at),
        )


def test_a_run_whose_worker_is_at_work_is_no_orphan_and_is_not_taken_over(
    database: Database,
) -> None:
    with database.write() as tx:
        run = running(tx)
        gone(tx, "not at all")
        assert tx.claims.orphans("worker-2") == []
        assert tx.claims.take_over(run, "worker-2", 9) is None
        assert tx.runs.get(run.id) == run


@pytest.mark.parametrize("state", [s for s in RunState if s is not RunState.RUNNING])
def test_what_does_not_run_is_no_orphan(database: Database, state: RunState) -> None:
    with database.write() as tx:
        run = running(tx)
        tx.runs.end(run.id, state, NOW)
        assert tx.claims.orphans("worker-2") == []
        assert tx.claims.take_over(run, "worker-2", 9) is None


def test_of_many_that_take_a_run_over_at_once_one_has_it(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        gone(tx, "lost")
        for number in range(8):
            tx.workers.enter(f"other-{number}", 1, NOW)
    takers = [f"other-{number}" for number in range(8)]

    def take() -> RunRecord | None:
        by = takers.pop()
        with database.write() as tx:
            return tx.claims.take_over(run, by, tx.counters.draw(FENCE))

    (taken,) = [found for found in at_once(8, take) if found is not None]
    with database.read() as tx:
        assert tx.runs.get(run.id) == taken


def test_a_run_is_owned_under_its_fence_alone_and_only_while_it_runs(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        fence = run.fence or 0
        assert tx.claims.owned(run.id, fence)
        assert not tx.claims.owned(run.id, fence + 1)
        gone(tx, "lost")
        assert tx.claims.take_over(run, "worker-2", fence + 1)
        assert not tx.claims.owned(run.id, fence)
        assert tx.claims.owned(run.id, fence + 1)
        tx.runs.end(run.id, RunState.SUCCEEDED, NOW, 0)
        assert not tx.claims.owned(run.id, fence + 1)


def test_every_fence_that_a_run_ever_had_is_kept_with_it(database: Database) -> None:
    with database.write() as tx:
        run: RunRecord | None = running(tx)
        for number in range(2, 5):
            assert run is not None
            run = tx.claims.take_over(run, f"unknown-{number}", number)
        assert run is not None
        assert (run.fence, run.revoked) == (4, [1, 2, 3])
        assert tx.claims.put_back(run.id, 4)
        again = tx.claims.claim(run.id, "worker-1", 5, NOW, NOW)
        assert again is not None
        assert again.revoked == [1, 2, 3]


def test_a_worker_takes_over_what_is_on_record_as_its_own(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        gone(tx, "not at all")
        assert tx.claims.orphans("worker-1") == [run]
        taken = tx.claims.take_over(run, "worker-1", 9)
        assert taken is not None
        assert (taken.worker, taken.fence, taken.revoked) == ("worker-1", 9, [run.fence])


def test_who_cannot_carry_a_run_on_leaves_it_to_others_as_an_orphan_again(
    database: Database,
) -> None:
    with database.write() as tx:
        run = running(tx)
        gone(tx, "lost")
        gone(tx, "not at all", "worker-2")
        taken = tx.claims.take_over(run, "worker-2", 9)
        assert taken is not None
        assert not tx.claims.hand_over(run.id, run.fence or 0, "worker-1")
        assert tx.claims.hand_over(run.id, 9, "worker-1")
        (orphan,) = tx.claims.orphans("worker-3")
        assert (orphan.worker, orphan.fence, orphan.revoked) == ("worker-1", 9, [run.fence])


def test_what_runs_in_another_place_is_left_to_those_who_are_there(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        tx.workers.enter("worker-1", 1, NOW, "here")
        tx.workers.leave("worker-1", NOW)
        assert tx.claims.orphans("worker-2", "there") == []
        assert tx.claims.orphans("worker-2", "here") == [run]
        assert tx.claims.orphans("worker-2") == [run], "who is in no place may look everywhere"


def test_what_can_be_seen_from_anywhere_is_taken_over_in_any_place(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.runs.add(number, 0, [("m-1", EXCLUSIVE), ("m-2", EXCLUSIVE)], seen_anywhere=["m-2"])
        here, anywhere = tx.runs.make_ready(number, 0, drawn(tx, 2), NOW)
        assert claim(tx, here)
        assert claim(tx, anywhere)
        tx.workers.enter("worker-1", 1, NOW, "here")
        assert tx.claims.orphans("worker-2", "there") == []
        tx.workers.leave("worker-1", NOW)
        assert [run.id for run in tx.claims.orphans("worker-2", "there")] == [anywhere.id]
        assert [run.id for run in tx.claims.stranded("there")] == [here.id]


def test_a_further_attempt_is_seen_from_where_the_first_one_was(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.runs.add(number, 0, [("m-1", EXCLUSIVE), ("m-2", EXCLUSIVE)], seen_anywhere=["m-2"])
        runs = tx.runs.make_ready(number, 0, drawn(tx, 2), NOW)
        again = [tx.runs.add_attempt(run, None, NOW) for run in runs]
        assert [run.seen_anywhere for run in again] == [False, True]


def test_a_run_that_is_put_back_waits_with_its_ticket_and_may_be_claimed_again(
    database: Database,
) -> None:
    with database.write() as tx:
        run = running(tx)
        assert not tx.claims.put_back(run.id, (run.fence or 0) + 1)
        assert tx.claims.put_back(run.id, run.fence or 0)
        assert not tx.claims.put_back(run.id, run.fence or 0)
        back = tx.runs.get(run.id)
        assert back is not None
        assert (back.state, back.ticket, back.ready_at) == (RunState.WAITING, run.ticket, NOW)
        assert (back.worker, back.fence, back.started_at) == (None, None, None)
        assert claim(tx, back)


def test_a_run_that_waits_for_its_machine_has_nothing_any_more_and_remembers_what_is_void(
    database: Database,
) -> None:
    with database.write() as tx:
        run = running(tx)
        assert not tx.claims.set_aside(replace(run, fence=99), "m-1"), "it is another worker's"
        assert tx.claims.set_aside(run, "m-1")
        assert not tx.claims.set_aside(run, "m-1")
        aside = tx.runs.get(run.id)
        assert aside is not None
        assert (aside.state, aside.awaits_machine, aside.paused) == (RunState.PENDING, "m-1", True)
        gone = (aside.ticket, aside.fence, aside.worker, aside.granted_at, aside.started_at)
        assert gone == (None,) * 5
        assert aside.revoked == [run.fence]
        assert run.granted_at is not None
        assert aside.void(run.granted_at)
        assert tx.runs.open() == []


def test_a_run_that_is_to_be_cancelled_waits_for_no_machine(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        tx.runs.request_cancel(run.deployment_id, NOW)
        assert not tx.claims.set_aside(run, "m-1")


def test_a_run_waits_as_long_as_its_machine_is_unavailable_and_not_disabled(
    database: Database,
) -> None:
    with database.write() as tx:
        run = running(tx)
        tx.machines.found("m-1", Health.UNAVAILABLE, NOW, None, "away")
        assert tx.claims.set_aside(run, "m-1")
        assert tx.lanes.back() == []
        tx.machines.set_mode("m-1", MachineMode.DISABLED, None, "ada", NOW)
        assert [each.id for each in tx.lanes.back()] == [run.id]
        tx.machines.set_mode("m-1", MachineMode.DRAINING, None, "ada", NOW)
        assert tx.lanes.back() == []
        tx.machines.found("m-1", Health.HEALTHY, NOW, None)
        (back,) = tx.lanes.back()
        (ready,) = tx.lanes.ready([back], drawn(tx), NOW)
        assert (ready.state, ready.awaits_machine) == (RunState.WAITING, None)
        assert tx.lanes.back() == []
        assert claim(tx, ready)


def test_what_is_to_come_on_a_machine_is_counted_and_found(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        number = add_deployment(tx, add_release(tx, "other"))
        tx.runs.add(number, 0, [("m-1", "exclusive"), ("m-2", "exclusive")])
        assert tx.lanes.busy() == {"m-1": 2, "m-2": 1}
        assert tx.lanes.planned_on("m-1") == [number], "what runs there is not to come any more"
        tx.lanes.leave_out(number, "m-1", WHY_LEFT_OUT, NOW)
        assert tx.lanes.left_out(number, "m-1")
        assert not tx.lanes.left_out(number, "m-2")
        assert tx.lanes.planned_on("m-1") == []
        tx.deployments.end(run.deployment_id, DeploymentState.FAILED, "gone", NOW)
        assert tx.lanes.busy() == {"m-2": 1}, "what has ended is busy nowhere"


def test_a_run_that_is_to_be_cancelled_is_not_put_back(database: Database) -> None:
    with database.write() as tx:
        run = running(tx)
        tx.runs.request_cancel(run.deployment_id, NOW)
        assert not tx.claims.put_back(run.id, run.fence or 0)
        found = tx.runs.get(run.id)
        assert found is not None
        assert (found.state, found.fence) == (RunState.RUNNING, run.fence)
