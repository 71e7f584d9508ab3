"""A ticket's folder that another database has left: its record is not taken for this run's.

Runs are numbered by the database. One that was made anew counts from the beginning again, and the
machine may still have the folder of an earlier run of the same number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deployengine.domain.deployment import RunState
from deployengine.persistence.counters import FENCE
from deployengine.steps.contract import Runner, Started, State, Status, Ticket, Work, WorkTicket
from deployengine.steps.local import LocalRunner
from deployengine.steps.ticket import parse_state
from tests.engine.test_step_runs import granted, output, stored, under_way
from tests.steps.conftest import (
    IMPLEMENTATIONS,
    MAIN,
    PATIENCE,
    begin,
    end,
    lives,
    tickets_of,
    until_dead,
)
from tests.steps.gates import Gate
from tests.support.fakes import House

ONCE = "echo once >> ran; echo said; set_output Name value"
OLD, NEW = 7, 9


@pytest.fixture(params=MAIN)
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


def work(earlier: tuple[int, ...] | None, fence: int = NEW, script: str = ONCE) -> Work:
    """The run of this database."""
    return Work("run-1", fence, script, earlier=earlier)


def left(runner: Runner, script: str = ONCE) -> WorkTicket:
    """A run of the same name, of which another database knew."""
    return begin(runner, Work("run-1", OLD, script, earlier=()))


def ran(workdir: Path) -> int:
    """How often the script has run."""
    return len((workdir / "ran").read_text().splitlines())


def leader_from(folder: Path) -> int:
    """The process of the wrapper whose record lies in this folder."""
    record = parse_state((folder / "state").read_bytes())
    assert record is not None
    assert record.leader is not None
    return record.leader.pid


def assert_unknown(status: Status) -> None:
    """Nothing is known of this run, and it is told why."""
    assert status.state is State.UNKNOWN
    assert status.exit_code is None
    assert "is the record of another run of that name, with fence 7" in status.known
    assert "from a database before this one" in status.known
    assert "nobody knows whether its script ran" in status.known


def test_a_record_of_another_run_of_the_name_begins_nothing_and_is_no_end(
    runner: Runner, workdir: Path
) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=()))
    assert_unknown(ticket.status())
    assert ticket.start() is Started.ATTACHED
    assert_unknown(ticket.status())
    assert_unknown(ticket.wait(PATIENCE))
    assert ran(workdir) == 1


def test_the_fences_of_other_runs_before_do_not_make_it_this_runs_own(
    runner: Runner, workdir: Path
) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=(OLD - 1, OLD + 1)))
    assert ticket.start() is Started.ATTACHED
    assert_unknown(ticket.status())
    assert ran(workdir) == 1


def test_a_record_with_an_earlier_fence_of_the_run_is_its_own(
    runner: Runner, workdir: Path
) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=(OLD - 1, OLD)))
    assert ticket.start() is Started.ATTACHED
    assert ticket.status() == Status(State.EXITED, 0)
    assert (ticket.output(0), ticket.outputs()) == (b"said\n", {"Name": "value"})
    assert ran(workdir) == 1


def test_a_record_with_the_runs_own_fence_is_its_own(runner: Runner, workdir: Path) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=(), fence=OLD))
    assert ticket.start() is Started.ATTACHED
    assert ticket.status() == Status(State.EXITED, 0)
    assert ran(workdir) == 1


def test_who_knows_of_no_fences_takes_any_record(runner: Runner, workdir: Path) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=None))
    assert ticket.start() is Started.ATTACHED
    attached: Ticket = runner.attach("run-1")
    assert ticket.status() == attached.status() == Status(State.EXITED, 0)
    assert ran(workdir) == 1


def test_a_script_of_another_database_that_still_runs_is_neither_followed_nor_ended(
    runner: Runner, workdir: Path, ready: Gate, go: Gate
) -> None:
    older = left(runner, "echo > ready; read x < go; exit 3")
    ready.hear()
    leader = leader_from(Path(tickets_of(workdir), "run-1"))
    ticket = runner.ticket(work(earlier=()))
    assert ticket.start() is Started.ATTACHED
    assert_unknown(ticket.wait(PATIENCE))
    ticket.cancel()
    assert lives(leader)
    go.let()
    assert end(older) == Status(State.EXITED, 3)
    assert_unknown(ticket.status())


def test_once_the_folder_is_removed_the_run_begins(runner: Runner, workdir: Path) -> None:
    end(left(runner))
    ticket = runner.ticket(work(earlier=()))
    assert ticket.start() is Started.ATTACHED
    runner.attach("run-1").clean()
    again = runner.ticket(work(earlier=()))
    assert again.status() == Status(State.ABSENT)
    assert again.start() is Started.FIRST
    assert end(again) == Status(State.EXITED, 0)
    assert ran(workdir) == 2


# ---- through the engine ----


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[House]:
    """A worker whose database has been made anew, and whose fences are other ones than before."""
    with House(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        with house.database.write() as tx:
            tx.counters.draw(FENCE, 20)
        yield house


@pytest.fixture
def workdir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the scripts run: that of the house's one machine, if the test is about a house."""
    of_house = "house" in request.fixturenames
    folder = tmp_path / "home" / "machines" / "qa-1" if of_house else tmp_path / "machine"
    folder.mkdir(parents=True)
    return folder


def runner_of(house: House) -> LocalRunner:
    """The way to the house's one machine."""
    tickets = house.settings.home / "tickets" / "qa-1"
    return LocalRunner(str(house.workdir("qa-1")), str(tickets))


def test_a_success_of_another_database_is_no_success_of_this_one(house: House) -> None:
    run = granted(house, "echo new >> ran\n")
    end(left(runner_of(house), "echo old >> ran; exit 0"))
    outcome = house.execute(run)
    assert outcome is not None
    assert outcome.state is RunState.UNKNOWN
    assert "is the record of another run of that name, with fence 7" in (outcome.message or "")
    assert (house.workdir("qa-1") / "ran").read_text() == "old\n"
    assert stored(house, run).state is RunState.UNKNOWN
    house.deliver_all()
    assert house.detail(1).deployment.state == "failed"
    assert house.held() == {}


def test_nothing_that_another_databases_script_said_or_set_becomes_this_runs(
    house: House,
) -> None:
    run = granted(house, "echo new >> ran\n")
    end(left(runner_of(house), "echo a-secret-of-then; set_output Name value"))
    house.execute(run)
    found = stored(house, run)
    assert (found.state, found.outputs, output(house, run)) == (RunState.UNKNOWN, None, "")
    printed = house.settings.home / "tickets" / "qa-1" / "run-1" / "output"
    assert printed.read_text() == "a-secret-of-then\n", "it is left for who looks into it"


def test_a_script_of_another_database_that_still_runs_is_not_ended_by_a_run_of_this_one(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, "echo new >> ran\n")
    left(runner_of(house), "echo > ready; read x < go; echo old >> ran")
    ready.hear()
    leader = leader_from(house.settings.home / "tickets" / "qa-1" / "run-1")
    with under_way(house, run) as future:
        try:
            outcome = future.result(10)
            assert outcome is not None
            assert outcome.state is RunState.UNKNOWN
            assert lives(leader)
        finally:
            go.let()
    until_dead(leader)
    assert (house.workdir("qa-1") / "ran").read_text() == "old\n"


def test_a_person_is_asked_about_it_where_the_step_says_so(house: House) -> None:
    run = granted(house, "echo new >> ran\n", on_unknown="ask")
    end(left(runner_of(house)))
    house.execute(run)
    assert stored(house, run).asks
    assert "from a database before this one" in (stored(house, run).message or "")
