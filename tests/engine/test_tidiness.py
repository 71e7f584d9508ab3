"""Tidiness: the ticket of a run that has ended goes, whoever left it; all others stay."""

from __future__ import annotations

from pathlib import Path

from deployengine.domain.deployment import RunState
from deployengine.engine.ports import GrantedRun
from deployengine.engine.tidiness import LEFT_AFTER
from deployengine.steps.contract import State
from deployengine.steps.local import LocalRunner
from tests.acceptance.catalogs import catalog, machine, project
from tests.engine.test_step_runs import HELD, granted, stored, tickets_left, under_way
from tests.steps.conftest import sshd
from tests.steps.gates import Gate
from tests.support.engine import until
from tests.support.fakes import House


def left(house: House, run: GrantedRun, ready: Gate, go: Gate) -> None:
    """The end of the script is on record, and its worker died before it cleaned up."""
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.let_go()
        assert future.result(20) is None
    go.let()
    runner = LocalRunner(str(house.workdir("qa-1")), str(house.settings.home / "tickets" / "qa-1"))
    ticket = runner.attach(f"run-{run.run_id}")
    until(lambda: ticket.status().state is State.EXITED, "the end of the script")
    with house.database.write() as tx:
        assert tx.runs.end(run.run_id, RunState.SUCCEEDED, house.clock.now(), 0)


def tidy(house: House) -> None:
    """One look, and another when whoever recorded the end must have cleaned up."""
    house.tidiness.look()
    house.clock.advance(LEFT_AFTER)
    house.tidiness.look()


def test_the_ticket_of_a_run_that_has_ended_goes_when_its_worker_has_had_time_to_remove_it(
    house: House, ready: Gate, go: Gate
) -> None:
    left(house, granted(house, HELD), ready, go)
    house.tidiness.look()
    house.clock.advance(LEFT_AFTER - 0.1)
    house.tidiness.look()
    assert tickets_left(house) == ["run-1"]
    house.clock.advance(0.1)
    house.tidiness.look()
    assert tickets_left(house) == []


def test_the_ticket_of_a_run_that_is_under_way_stays(house: House, ready: Gate, go: Gate) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        tidy(house)
        assert tickets_left(house) == ["run-1"]
        go.let()
        assert future.result(20) is not None
    assert stored(house, run).state is RunState.SUCCEEDED


def test_a_script_that_runs_though_its_run_is_on_record_as_ended_is_let_be(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.let_go()
        assert future.result(20) is None
    with house.database.write() as tx:
        assert tx.runs.end(run.run_id, RunState.UNKNOWN, house.clock.now())
    tidy(house)
    assert tickets_left(house) == ["run-1"]
    go.let()


def test_whatever_else_lies_among_the_tickets_is_nobodys_business(
    house: House, ready: Gate, go: Gate
) -> None:
    left(house, granted(house, HELD), ready, go)
    folder = house.settings.home / "tickets" / "qa-1"
    strange = ["run-abc", "run-99", "dep-1", "something", "run-1.bak"]
    for name in strange:
        (folder / name).mkdir()
        (folder / name / "script").write_text("true\n")
    tidy(house)
    assert sorted(tickets_left(house)) == sorted(strange)


def test_a_look_at_a_machine_that_is_reached_by_ssh_finds_what_is_left_there(
    house: House, tmp_path: Path
) -> None:
    work, tickets = tmp_path / "far", tmp_path / "far.tickets"
    connection = sshd().connection(work, tickets=str(tickets))
    house.apply(
        catalog(project("app", "true\n"), machines=[machine("far", "QA", connection=connection)])
    )
    house.create("app")
    house.deliver_all()
    until(lambda: not (tickets / "run-1").exists(), "its worker removes it")
    (tickets / "run-1").mkdir()  # as one that died would have left it
    with house.neighbour() as other:
        tidy(other)
        assert (tickets / "run-1").exists(), "it has no connection"
        other.look_at_machines()
        other.clock.advance(LEFT_AFTER)
        other.look_at_machines()
    assert not (tickets / "run-1").exists()


def test_a_machine_that_cannot_be_looked_at_keeps_no_other_from_being_tidied(
    house: House, ready: Gate, go: Gate
) -> None:
    left(house, granted(house, HELD), ready, go)
    house.apply(
        catalog(project("app", HELD), machines=[machine("bad-1", "QA"), machine("qa-1", "QA")])
    )
    (house.settings.home / "tickets" / "bad-1").write_text("no folder")
    tidy(house)
    assert tickets_left(house) == []
