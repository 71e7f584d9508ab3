"""Claims: the database lets no two runs that clash run at once, whatever Redis granted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.deployment import RunState
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import FENCE, TICKET
from deployengine.persistence.records import RunRecord
from tests.persistence.conftest import NOW, add_deployment, add_release, at_once

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
    (run,) = tx.runs.make_ready(number, 0, tx.counters.draw(TICKET), NOW)
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
