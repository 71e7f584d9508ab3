"""Claims of runs that another machine carries out: they clash there, and nowhere else."""

from __future__ import annotations

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.deployment import RunState
from deployengine.domain.plan import ELSEWHERE, machine_resource
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import RunRecord
from tests.persistence.conftest import NOW, add_deployment, add_release, drawn, later
from tests.persistence.test_claim_rows import claim, ready

EXCLUSIVE, SHARED = Mode.EXCLUSIVE, Mode.SHARED


def behalf(tx: Transaction, project: str, mode: Mode = EXCLUSIVE, on: str = "lb") -> RunRecord:
    """A run for m-1 that waits to be carried out on another machine."""
    number = add_deployment(tx, add_release(tx, project))
    tx.runs.add(number, 0, [("m-1", ELSEWHERE)])
    (run,) = tx.runs.make_ready(number, 0, drawn(tx), NOW)
    tx.claims.touch({run.id: [Claim(machine_resource(on), mode)]})
    return run


def may(tx: Transaction, run: RunRecord) -> bool:
    """Whether the database lets it run, as the engine asks it; then it does."""
    if not claim(tx, run):
        return False
    if run.lock_mode != ELSEWHERE:  # it touches nothing, so nobody looks further
        return True
    refused = bool(tx.claims.in_the_way(run)) or tx.holds.held_by_others(run.id)
    if refused:  # the engine undoes the whole transaction
        tx.claims.put_back(run.id, tx.runs.get(run.id).fence)  # type: ignore[union-attr]
    return not refused


def test_it_keeps_nobody_from_the_machine_that_it_is_for_and_nobody_there_keeps_it(
    database: Database,
) -> None:
    with database.write() as tx:
        before = ready(tx, "one")
        run = behalf(tx, "two")
        after = ready(tx, "three")
        assert may(tx, run)
        assert may(tx, before)
        tx.runs.end(before.id, RunState.SUCCEEDED, NOW)
        assert may(tx, after)


@pytest.mark.parametrize("first", Mode)
@pytest.mark.parametrize("second", Mode)
@pytest.mark.parametrize("earlier", ["own", "behalf"])
@pytest.mark.parametrize("later_one", ["own", "behalf"])
@pytest.mark.parametrize("claimed", [False, True])
def test_on_the_machine_that_carries_it_out_it_clashes_as_any_run_does(
    database: Database, first: Mode, second: Mode, earlier: str, later_one: str, claimed: bool
) -> None:
    def made(tx: Transaction, kind: str, project: str, mode: Mode) -> RunRecord:
        return behalf(tx, project, mode) if kind == "behalf" else ready(tx, project, mode, "lb")

    with database.write() as tx:
        one, two = made(tx, earlier, "one", first), made(tx, later_one, "two", second)
        if claimed:
            assert may(tx, one)
        clash = EXCLUSIVE in (first, second)
        assert [run.id for run in tx.claims.in_the_way(two)] == ([one.id] if clash else [])
        assert may(tx, two) is not clash
        if clash:
            if not claimed:
                assert may(tx, one)
            tx.runs.end(one.id, RunState.SUCCEEDED, NOW)
            tx.claims.untouch([one.id])
            assert may(tx, two)


@pytest.mark.parametrize("kind", ["own", "behalf"])
def test_it_clashes_on_no_other_machine(database: Database, kind: str) -> None:
    with database.write() as tx:
        behalf(tx, "one", on="lb-2")
        assert may(tx, behalf(tx, "two") if kind == "behalf" else ready(tx, "two", machine="lb"))


def test_a_deployment_that_holds_the_machine_keeps_it_out_and_the_other_way_round(
    database: Database,
) -> None:
    with database.write() as tx:
        run = behalf(tx, "one")
        whole = add_deployment(tx, add_release(tx, "whole"))
        tx.holds.add(whole, [Claim(machine_resource("lb"), EXCLUSIVE)])
        assert may(tx, run)
        assert tx.holds.kept_from(whole)
        tx.runs.end(run.id, RunState.SUCCEEDED, NOW)
        tx.claims.untouch([run.id])
        assert not tx.holds.kept_from(whole)
        tx.deployments.begin(whole, NOW)
        assert not may(tx, behalf(tx, "two"))


def test_a_deployment_that_holds_the_machine_it_is_for_does_not_keep_it_out(
    database: Database,
) -> None:
    with database.write() as tx:
        whole = add_deployment(tx, add_release(tx, "whole"))
        tx.holds.add(whole, [Claim(machine_resource("m-1"), EXCLUSIVE)])
        tx.deployments.begin(whole, NOW)
        run = behalf(tx, "one")
        assert may(tx, run)
        assert not tx.holds.kept_from(whole)


def test_how_long_it_took_is_no_matter_of_the_machine_that_it_is_for(database: Database) -> None:
    with database.write() as tx:
        run = behalf(tx, "one")
        assert may(tx, run)
        tx.runs.end(run.id, RunState.SUCCEEDED, later(9))
        assert tx.views.durations("m-1") == []
        assert tx.views.durations() == [9.0]


def test_a_further_attempt_is_carried_out_elsewhere_too(database: Database) -> None:
    with database.write() as tx:
        assert tx.runs.add_attempt(behalf(tx, "one"), None, NOW).lock_mode == ELSEWHERE


def test_of_a_machine_that_is_left_out_some_runs_may_be_spared(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        for step in (0, 1):
            tx.runs.add(number, step, [("m-1", "exclusive")])
        first, second = tx.lanes.of(number, [0, 1])
        skipped = tx.lanes.leave_out(number, "m-1", "left", NOW, [second.id])
        assert [run.id for run in skipped] == [first.id]
        assert [run.state for run in tx.lanes.of(number, [0, 1])] == ["skipped", "pending"]


def bringing(tx: Transaction, project: str, package: str = "shop") -> RunRecord:
    """A run that brings a package to m-1: it claims nothing of any machine."""
    number = add_deployment(tx, add_release(tx, project))
    tx.runs.add(number, 0, [("m-1", ELSEWHERE)])
    (run,) = tx.runs.make_ready(number, 0, drawn(tx), NOW)
    tx.claims.touch({run.id: [Claim(f"package:m-1/{package}", EXCLUSIVE)]})
    return run


def test_who_brings_a_package_meets_only_who_brings_the_same_there(database: Database) -> None:
    with database.write() as tx:
        script = ready(tx, "one")
        first = bringing(tx, "two")
        other = bringing(tx, "three", "api")
        same = bringing(tx, "four")
        assert may(tx, script)
        assert not may(tx, same)
        assert [run.id for run in tx.claims.in_the_way(same)] == [first.id]
        assert tx.claims.in_the_way(other) == []
        assert may(tx, other)
        assert may(tx, first)
        tx.runs.end(first.id, RunState.SUCCEEDED, NOW)
        tx.claims.untouch([first.id])
        assert may(tx, same)


def playbook(tx: Transaction, project: str, machine: str = "m-1") -> RunRecord:
    """A run that changes the machine that it is for, from another one that it shares."""
    number = add_deployment(tx, add_release(tx, project))
    tx.runs.add(number, 0, [(machine, ELSEWHERE)])
    (run,) = tx.runs.make_ready(number, 0, drawn(tx), NOW)
    both = [Claim(machine_resource("lb"), SHARED), Claim(machine_resource(machine), EXCLUSIVE)]
    tx.claims.touch({run.id: both})
    return run


@pytest.mark.parametrize("machine", ["m-1", "lb"])
@pytest.mark.parametrize("first", ["playbook", "own"])
def test_what_claims_two_machines_clashes_on_both(
    database: Database, machine: str, first: str
) -> None:
    with database.write() as tx:
        made = [lambda: playbook(tx, "one"), lambda: ready(tx, "two", machine=machine)]
        one, two = (make() for make in (made if first == "playbook" else reversed(made)))
        assert may(tx, one)
        assert [run.id for run in tx.claims.in_the_way(two)] == [one.id]
        assert not may(tx, two)
        tx.runs.end(one.id, RunState.SUCCEEDED, NOW)
        tx.claims.untouch([one.id])
        assert may(tx, two)


def test_two_of_them_clash_only_if_they_are_for_one_machine(database: Database) -> None:
    with database.write() as tx:
        assert may(tx, playbook(tx, "one"))
        assert may(tx, playbook(tx, "two", "m-2"))
        assert not may(tx, playbook(tx, "three"))
