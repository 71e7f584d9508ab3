"""Picking up: another worker sees a script to its end, and the one that was lost harms nothing.

Houses over one home are the workers of one engine. One that was killed follows no script any more
(``let_go``) and gives no sign of life; one that was stopped follows on when it wakes.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import Unreachable
from deployengine.engine.claims import Claimed, Relinquished
from deployengine.engine.lease import beat_interval
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.pick_up import ACCIDENT_AFTER
from deployengine.engine.ports import GrantedRun
from deployengine.engine.recovery import LOST_AFTER
from deployengine.engine.step_runs import Outcome
from deployengine.engine.tidiness import LEFT_AFTER
from deployengine.steps.contract import Runner, Started, State, Ticket, Work, WorkTicket
from deployengine.steps.local import LocalRunner
from deployengine.steps.masking import Masker
from deployengine.steps.wake import Wake
from tests.acceptance.catalogs import catalog, project
from tests.engine.test_step_runs import granted, output, stored, tickets_left, under_way
from tests.steps.gates import Gate
from tests.support.engine import until
from tests.support.fakes import House, away

PATIENCE = 30.0

#: Tells that it has come so far, and waits to be let go on.
STOP = "echo > ../../../ready\nread -r _ < ../../../go\n"
HELD = f"echo once >> ran\necho one\n{STOP}echo two\n"


@pytest.fixture
def other(house: House) -> Iterator[House]:
    """A second worker, which has given a sign of life."""
    with house.neighbour() as other:
        other.lease.beat()
        yield other


def runner(house: House) -> LocalRunner:
    """The way to the one machine."""
    return LocalRunner(str(house.workdir("qa-1")), str(house.settings.home / "tickets" / "qa-1"))


def ticket(house: House, run: GrantedRun) -> Ticket:
    return runner(house).attach(f"run-{run.run_id}")


def await_state(house: House, run: GrantedRun, state: State) -> None:
    """Until the script is so, whoever follows it."""
    until(lambda: ticket(house, run).status().state is state, f"a script that is {state.value}")


def await_output(house: House, run: GrantedRun, text: str) -> None:
    """Until exactly this is in the database."""
    until(lambda: output(house, run) == text, f"{text!r} in the database")


def killed(house: House, run: GrantedRun, ready: Gate, kept: str = "one\n") -> None:
    """The worker begins the run and is killed when this of its output has been stored."""
    with under_way(house, run) as future:
        ready.hear()
        await_output(house, run, kept)
        house.step_runs.let_go()
        assert future.result(PATIENCE) is None
    house.lease.leave()


def look(house: House) -> None:
    """What a worker does every beat."""
    house.lease.beat()
    house.step_runs.cancel(house.recovery.cancelling())
    house.pick_up.look()


def see_to_the_end(house: House) -> None:
    """The worker takes over what there is, and follows it to its end."""
    look(house)
    house.pick_up.join()


def until_lost(house: House, by: House) -> None:
    """Time passes in which the worker gives no sign of life, and the other one watches."""
    name = house.lease.name
    for _ in range(10):
        look(by)
        with by.database.read() as tx:
            if name not in [worker.name for worker in tx.workers.at_work()]:
                return
        house.clock.advance(beat_interval(house.settings.lease))
    raise AssertionError(f"{name} was not lost")


def ran(house: House) -> list[str]:
    trace = house.workdir("qa-1") / "ran"
    return trace.read_text().splitlines() if trace.exists() else []


def claim(house: House, run: GrantedRun) -> Claimed:
    """The worker claims the run and does not come to begin it."""
    house.lease.beat()
    claimed = house.step_runs.claims.claim(run.run_id, run.granted_at, house.lease.name)
    assert claimed is not None
    return claimed


# ---- the script runs ----


def test_a_running_script_is_followed_to_its_end_by_another_worker_and_not_started_again(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    begun = stored(house, run)
    look(other)
    taken = stored(house, run)
    assert (taken.state, taken.worker) == (RunState.RUNNING, other.lease.name)
    assert (taken.fence, taken.revoked) == ((begun.fence or 0) + 1, [begun.fence])
    go.let()
    other.pick_up.join()
    found = stored(house, run)
    assert (found.state, found.exit_code, found.attempt) == (RunState.SUCCEEDED, 0, 1)
    assert (found.worker, found.started_at) == (other.lease.name, begun.started_at)
    assert output(house, run) == "one\ntwo\n"
    assert ran(house) == ["once"]
    assert tickets_left(house) == []
    other.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"
    assert house.held() == {}


def test_a_worker_that_is_silent_for_a_lease_loses_its_runs_without_a_word(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.let_go()
        assert future.result(PATIENCE) is None
    look(other)
    assert stored(house, run).worker == house.lease.name, "it may yet be there"
    until_lost(house, other)
    assert stored(house, run).worker == other.lease.name
    go.let()
    other.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n"


def test_whoever_is_next_gets_the_machine_when_a_script_that_was_picked_up_has_ended(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    house.apply(catalog(project("app", HELD), project("next", "echo next >> ran\n")))
    house.create("next")
    house.deliver_chains()
    assert house.dispatcher.take_runs() == []
    killed(house, run, ready)
    go.let()
    see_to_the_end(other)
    assert [run.run_id for run in other.dispatcher.granted] == [2]
    other.deliver_all()
    assert ran(house) == ["once", "next"]


def test_a_script_is_handed_on_as_often_as_its_workers_are_lost(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, f"echo 0\n{STOP}echo 1\n{STOP}echo 2\n{STOP}echo 3\n")
    killed(house, run, ready, "0\n")
    for number in (1, 2):
        with house.neighbour() as worker:
            look(worker)
            go.let()
            ready.hear()
            await_output(house, run, "".join(f"{n}\n" for n in range(number + 1)))
            worker.step_runs.let_go()
            worker.pick_up.join()
            worker.lease.leave()
    with house.neighbour() as last:
        look(last)
        go.let()
        last.pick_up.join()
    assert output(house, run) == "0\n1\n2\n3\n"
    assert stored(house, run).revoked == [1, 2, 3]
    assert stored(house, run).state is RunState.SUCCEEDED


def test_a_secret_that_the_take_over_cuts_is_masked_as_a_whole(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    token = {"name": "Token", "value": "wholly-5ecret", "sensitive": True}
    script = f"printf 'it is wholly-'\n{STOP}printf '5ecret, wholly\\n'\n"
    run = granted(house, script, variables=[token])
    killed(house, run, ready, "it is ")
    look(other)
    go.let()
    other.pick_up.join()
    assert output(house, run) == "it is ********, wholly\n"


def test_a_character_that_the_take_over_cuts_is_whole(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    # The first of three bytes, then the other two: one euro.
    run = granted(house, f"printf 'ä costs 1 \\342'\n{STOP}printf '\\202\\254\\n'\n")
    killed(house, run, ready, "ä costs 1 ")
    look(other)
    go.let()
    other.pick_up.join()
    assert output(house, run) == "ä costs 1 €\n"


def test_what_a_script_sets_before_and_after_the_take_over_is_stored(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, f"echo one\nset_output Before 1\n{STOP}set_output After 2\n")
    killed(house, run, ready)
    look(other)
    go.let()
    other.pick_up.join()
    assert stored(house, run).outputs == {"Before": "1", "After": "2"}


def test_a_time_out_counts_from_the_scripts_own_begin(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD, timeout="1s")
    killed(house, run, ready)  # by the clock of the workers no time has passed, nor will any
    until(lambda: (ticket(house, run).status().seconds or 0) > 1, "a script of a second")
    see_to_the_end(other)
    found = stored(house, run)
    assert (found.state, found.message) == (RunState.FAILED, "timed out after 1 s")
    assert ticket(house, run).status().state is State.ABSENT


def test_a_script_that_is_picked_up_has_what_is_left_of_its_time_and_no_more(
    house: House, other: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = granted(house, HELD, timeout="10m")
    killed(house, run, ready)
    with caplog.at_level(logging.INFO, "deployengine.runs"):
        look(other)
        until(lambda: "is picked up (running)" in caplog.text, "the other one follows it")
    house.clock.advance(540)
    other.lease.beat()
    assert other.step_runs.carries_out(run.run_id)
    house.clock.advance(61)
    other.pick_up.join()
    assert stored(house, run).message == "timed out after 600 s"


# ---- it has ended, or is gone ----


def test_a_script_that_ended_meanwhile_is_recorded_as_it_ended(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD + "exit 7\n")
    killed(house, run, ready)
    go.let()
    await_state(house, run, State.EXITED)
    see_to_the_end(other)
    found = stored(house, run)
    assert (found.state, found.exit_code) == (RunState.FAILED, 7)
    assert output(house, run) == "one\ntwo\n"
    assert tickets_left(house) == []


GOES_AWAY = (
    '[ "$DEPLOYENGINE_ATTEMPT" = 1 ] || exit 0\n'
    f"echo once >> ran\necho one\n{STOP}"
    "kill -9 $PPID\n"  # its own wrapper, as when the machine is switched off
)


def gone(house: House, ready: Gate, go: Gate, **policy: Any) -> GrantedRun:
    """A run whose script is gone without an end, and so is its worker."""
    run = granted(house, GOES_AWAY, **policy)
    killed(house, run, ready)
    go.let()
    await_state(house, run, State.UNKNOWN)
    return run


def test_a_script_that_is_gone_without_an_end_is_unknown_and_never_run_again_by_itself(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = gone(house, ready, go, retries=2)
    see_to_the_end(other)
    found = stored(house, run)
    assert (found.state, found.exit_code) == (RunState.UNKNOWN, None)
    assert "the script began and is gone without an exit code" in (found.message or "")
    assert "with fence 1 as process" in (found.message or "")
    other.deliver_all()
    assert house.states(1) == ["unknown"]
    assert house.detail(1).deployment.state == "failed"
    assert house.held() == {}


def test_with_on_unknown_ask_a_person_is_asked_and_the_machine_is_free(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = gone(house, ready, go, on_unknown="ask")
    see_to_the_end(other)
    assert stored(house, run).asks
    other.deliver_all()
    assert house.detail(1).deployment.state == "paused"
    assert list(house.held()) == ["tag:app/QA"]


def test_with_on_unknown_rerun_it_runs_again_as_a_further_attempt(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    gone(house, ready, go, on_unknown="rerun", idempotent=True)
    see_to_the_end(other)
    other.deliver_all()
    assert house.states(1) == ["unknown", "succeeded"]
    assert house.detail(1).deployment.state == "succeeded"


# ---- it has never begun ----


def test_a_run_that_was_claimed_and_never_begun_is_begun_by_any_free_slot(
    house: House, other: House
) -> None:
    run = granted(house, "echo once >> ran\n")
    claim(house, run)
    house.lease.leave()
    see_to_the_end(other)
    back = stored(house, run)
    assert (back.state, back.worker, back.fence) == (RunState.WAITING, None, None)
    assert ran(house) == []
    (again,) = other.dispatcher.take_runs()
    assert (again.run_id, again.granted_at) == (run.run_id, run.granted_at)
    with house.neighbour() as third:
        assert third.execute(again) == Outcome(RunState.SUCCEEDED, 0)
    assert ran(house) == ["once"]
    assert stored(house, run).attempt == 1


def test_a_run_that_was_put_back_and_whose_message_is_lost_is_sent_again(
    house: House, other: House
) -> None:
    run = granted(house, "echo once >> ran\n")
    claim(house, run)
    house.lease.leave()
    see_to_the_end(other)
    other.dispatcher.lose()
    other.recovery.sweep()
    house.clock.advance(LOST_AFTER)
    other.recovery.sweep()
    other.deliver_all()
    assert ran(house) == ["once"]
    assert house.detail(1).deployment.state == "succeeded"


class LateRunner:
    """The real way to a machine; a start sleeps on the way until it is woken."""

    def __init__(self, runner: Runner, asleep: threading.Event, awake: threading.Event) -> None:
        self._runner = runner
        self._asleep = asleep
        self._awake = awake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def ticket(self, work: Work) -> WorkTicket:
        return LateTicket(self._runner.ticket(work), self._asleep, self._awake)  # type: ignore[return-value]


class LateTicket:
    """The real ticket, begun late."""

    def __init__(self, real: WorkTicket, asleep: threading.Event, awake: threading.Event) -> None:
        self._real = real
        self._asleep = asleep
        self._awake = awake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        self._asleep.set()
        assert self._awake.wait(PATIENCE)
        return self._real.start(wake, patience)


class LateHouse(House):
    """A worker that is stopped after it has looked at its lease, and before its script starts."""

    asleep: threading.Event
    awake: threading.Event

    def _runner_of(self, machine: Machine) -> Runner:
        return LateRunner(super()._runner_of(machine), self.asleep, self.awake)  # type: ignore[return-value]


@pytest.fixture
def late(house: House) -> Iterator[LateHouse]:
    """Such a worker."""
    key = house.settings.master_key
    with LateHouse(house.settings.home, house.redis, house.clock, master_key=key) as late:
        late.asleep, late.awake = threading.Event(), threading.Event()
        yield late


@pytest.mark.parametrize("when", ["put back", "running", "ended"])
def test_a_start_that_comes_after_another_worker_took_over_begins_nothing(
    house: House, other: House, late: LateHouse, ready: Gate, go: Gate, when: str
) -> None:
    run = granted(house, HELD)
    with under_way(late, run) as future:
        assert late.asleep.wait(PATIENCE)
        until_lost(late, other)
        other.pick_up.join()
        (again,) = other.dispatcher.take_runs()
        if when == "put back":
            late.awake.set()
            assert future.result(PATIENCE) is None
        with under_way(other, again) as begun:
            ready.hear()
            if when == "running":
                late.awake.set()
                assert future.result(PATIENCE) is None
            go.let()
            assert begun.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
        late.awake.set()
        assert future.result(PATIENCE) is None
    assert ran(house) == ["once"]
    assert output(house, run) == "one\ntwo\n"
    assert stored(house, run).worker == other.lease.name
    # What the late start has put there before it was refused goes with the next tidying up.
    other.tidiness.look()
    house.clock.advance(LEFT_AFTER)
    other.tidiness.look()
    assert tickets_left(house) == []


# ---- the one that was lost wakes ----


@contextmanager
def taken(
    house: House, other: House, ready: Gate, script: str = HELD
) -> Iterator[tuple[GrantedRun, Callable[[], Outcome | None]]]:
    """A run that the other worker has taken over while the first one was only stopped."""
    run = granted(house, script)
    with under_way(house, run) as future:
        ready.hear()
        await_output(house, run, "one\n")
        house.lease.leave()
        look(other)
        assert stored(house, run).worker == other.lease.name
        yield run, lambda: future.result(PATIENCE)


def test_a_worker_that_wakes_stores_no_output_and_lets_go_while_the_script_runs_on(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    script = f"echo one\n{STOP}echo two\n{STOP}echo three\n"
    with taken(house, other, ready, script) as (run, result):
        go.let()
        ready.hear()
        assert result() is None
        assert other.step_runs.carries_out(run.run_id)
        go.let()
        other.pick_up.join()
    assert output(house, run) == "one\ntwo\nthree\n"
    assert stored(house, run).state is RunState.SUCCEEDED


def test_a_worker_that_wakes_ends_no_script_that_is_anothers(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    with taken(house, other, ready) as (run, result):
        house.step_runs.cancel([run.run_id])
        assert result() is None
        assert ticket(house, run).status().state is State.RUNNING
        go.let()
        other.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n"


def test_the_end_of_a_script_is_recorded_once_and_by_whom_it_belongs_to(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    with taken(house, other, ready) as (run, result):
        go.let()  # both see it
        other.pick_up.join()
        assert result() is None
    assert stored(house, run).worker == other.lease.name
    assert len(house.dispatcher.chains) == 0
    assert len(other.dispatcher.chains) == 1


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.UNKNOWN])
def test_no_end_and_no_output_is_recorded_under_a_fence_that_was_revoked(
    house: House, other: House, ready: Gate, go: Gate, state: RunState
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    with house.database.read() as tx:
        before = tx.runs.get(run.run_id)
    look(other)
    now = claimed_before(house, run, before)
    with pytest.raises(Relinquished):
        house.step_runs._endings.conclude(now, Outcome(state))
    stream = OutputStream(house.database, now, ticket(house, run), Masker(()))
    with pytest.raises(Relinquished):
        stream.save()
    assert not house.step_runs.claims.owned(now)
    assert not house.step_runs.claims.put_back(now)
    assert stored(house, run).state is RunState.RUNNING
    assert house.held()["machine:qa-1"] == (["run-1"], [])
    go.let()
    other.pick_up.join()
    assert output(house, run) == "one\ntwo\n"
    with pytest.raises(Relinquished):
        house.step_runs._endings.conclude(now, Outcome(state))
    assert stored(house, run).state is RunState.SUCCEEDED


def claimed_before(house: House, run: GrantedRun, record: Any) -> Claimed:
    """The run as a worker has it in mind that does not know yet that it was lost."""
    with house.database.read() as tx:
        deployment = house.archive.deployment(tx, record.deployment_id)
        plan = house.archive.plan(tx, deployment.id)
        return Claimed(record, deployment, plan, house.archive.snapshot(tx, 1), ())


# ---- who cannot carry it on ----


def test_a_worker_in_another_place_leaves_what_it_cannot_see_to_those_who_can(
    house: House, other: House, ready: Gate, go: Gate, tmp_path: Path
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    settings = house.settings
    shared = {"master_key": settings.master_key, "database_url": settings.database_url}
    with House(tmp_path / "elsewhere", house.redis, house.clock, **shared) as elsewhere:
        see_to_the_end(elsewhere)
        assert stored(house, run).worker == house.lease.name
    go.let()
    see_to_the_end(other)
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n"


def test_a_worker_with_another_master_key_leaves_a_run_as_it_was_and_tries_it_once(
    house: House, other: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    token = {"name": "Token", "value": "wholly-5ecret", "sensitive": True}
    run = granted(house, HELD + "echo #{Token}\n", variables=[token])
    killed(house, run, ready)
    with House(house.settings.home, house.redis, house.clock) as stranger:
        see_to_the_end(stranger)
        assert "run-1 is left to another worker" in caplog.text
        assert stored(house, run).worker == house.lease.name
        see_to_the_end(stranger)
        assert stored(house, run).fence == 2, "it was not taken a second time"
    go.let()
    see_to_the_end(other)
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n********\n"


# ---- cancelled meanwhile ----


def test_a_script_whose_cancel_nobody_heard_is_ended_by_whoever_picks_it_up(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    house.deployments.cancel(1)
    look(other)
    look(other)  # it hears of it as of any other run of its own
    other.pick_up.join()
    assert stored(house, run).state is RunState.CANCELLED
    other.deliver_all()
    assert house.detail(1).deployment.state == "cancelled"
    assert house.held() == {}
    assert tickets_left(house) == []


def test_a_run_that_never_began_and_is_to_be_cancelled_never_begins(
    house: House, other: House
) -> None:
    run = granted(house, "echo once >> ran\n")
    claim(house, run)
    house.deployments.cancel(1)
    house.lease.leave()
    see_to_the_end(other)
    assert stored(house, run).state is RunState.CANCELLED
    other.deliver_all()
    assert house.detail(1).deployment.state == "cancelled"
    assert ran(house) == []
    assert house.held() == {}


@pytest.mark.parametrize("after", ["take-over", "put-back"])
def test_a_cancel_that_comes_while_a_run_is_put_back_is_heard(
    house: House, other: House, after: str
) -> None:
    run = granted(house, "echo once >> ran\n")
    claim(house, run)
    house.lease.leave()

    def cancel() -> None:
        house.deployments.cancel(1)

    other.database.meanwhile[after] = cancel
    see_to_the_end(other)
    house.deliver_all()
    other.deliver_all()
    assert stored(house, run).state is RunState.CANCELLED
    assert house.detail(1).deployment.state == "cancelled"
    assert ran(house) == []
    assert house.held() == {}


# ---- who may begin and take over ----


def test_a_worker_that_can_give_no_sign_of_life_begins_nothing(house: House) -> None:
    run = granted(house, "echo once >> ran\n")
    house.lease.beat()
    house.clock.advance(house.settings.lease)
    house.database.away = True
    with away(house.redis), pytest.raises(Unreachable):
        house.execute(run)
    house.database.away = False
    assert ran(house) == []
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)


def test_a_worker_that_was_stopped_after_its_claim_and_lost_begins_nothing_when_it_wakes(
    house: House, other: House, caplog: pytest.LogCaptureFixture
) -> None:
    run = granted(house, "echo once >> ran\n")

    def others_go_on() -> None:
        until_lost(house, other)
        other.pick_up.join()
        other.deliver_all()

    house.database.meanwhile["claim"] = others_go_on
    first = house.lease.name
    assert house.execute(run) is None
    assert ran(house) == ["once"]
    assert stored(house, run).worker == other.lease.name
    assert house.lease.name != first
    assert "no sign of life for" in caplog.text
    assert "run-1 is not begun yet" in caplog.text


def test_a_worker_whose_heart_beat_again_before_its_thread_woke_begins_nothing_either(
    house: House, other: House
) -> None:
    run = granted(house, "echo once >> ran\n")

    def others_go_on() -> None:
        until_lost(house, other)
        other.pick_up.join()
        other.deliver_all()
        house.lease.beat()  # its lease is good again, under another name
        # The machine would refuse it, too; here it has forgotten.
        shutil.rmtree(house.settings.home / "tickets" / "qa-1" / ".fences")

    house.database.meanwhile["claim"] = others_go_on
    assert house.execute(run) is None
    assert ran(house) == ["once"]


def test_a_ticket_that_somebody_removed_while_its_worker_was_lost_is_not_begun_again(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, f"echo once >> ran\n{STOP}")
    with under_way(house, run) as future:
        ready.hear()
        house.step_runs.let_go()
        assert future.result(PATIENCE) is None
    house.lease.leave()
    shutil.rmtree(house.settings.home / "tickets" / "qa-1" / "run-1")
    see_to_the_end(other)
    go.let()
    other.deliver_all()
    assert ran(house) == ["once"]
    found = stored(house, run)
    assert found.state is RunState.UNKNOWN
    assert "was removed" in (found.message or "")


def test_a_worker_that_was_stopped_after_its_claim_and_not_lost_begins_its_run(
    house: House,
) -> None:
    run = granted(house, "echo once >> ran\n")
    house.database.meanwhile["claim"] = lambda: house.clock.advance(house.settings.lease)
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)
    assert ran(house) == ["once"]


def test_a_worker_without_a_good_lease_takes_nothing_over(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    house.clock.advance(house.settings.lease)
    other.pick_up.look()
    assert stored(house, run).worker == house.lease.name
    go.let()
    see_to_the_end(other)
    assert stored(house, run).worker == other.lease.name


def test_of_two_workers_that_look_at_once_one_follows_the_script(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    with house.neighbour() as third:
        look(other)
        look(third)
        assert other.step_runs.carries_out(run.run_id)
        assert not third.step_runs.carries_out(run.run_id)
        go.let()
        other.pick_up.join()
        third.pick_up.join()
    assert output(house, run) == "one\ntwo\n"


def test_a_worker_that_lets_go_begins_nothing_more(house: House) -> None:
    run = granted(house, "echo once >> ran\n")
    house.step_runs.let_go()
    assert house.execute(run) is None
    assert ran(house) == []
    assert stored(house, run).state is RunState.WAITING


def test_a_script_is_picked_up_beside_a_full_cap_and_nothing_new_is_begun_until_it_ends(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    with house.neighbour(task_cap=1) as other:
        with other.step_runs._slots.one():
            look(other)
            until(lambda: other.step_runs.carries_out(run.run_id), "the pick-up")
        go.let()
        other.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED


# ---- accidents on the way ----


def own_again(house: House) -> None:
    """The worker finds what is on record as its own and in no thread."""
    look(house)
    house.clock.advance(ACCIDENT_AFTER)
    look(house)


def test_a_take_over_whose_answer_got_lost_is_found_by_the_worker_itself(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    other.database.unanswered.append("take-over")
    with pytest.raises(Unreachable):
        look(other)
    assert stored(house, run).worker == other.lease.name
    own_again(other)
    go.let()
    other.pick_up.join()
    found = stored(house, run)
    assert (found.state, found.revoked) == (RunState.SUCCEEDED, [1, 2])
    assert output(house, run) == "one\ntwo\n"


def test_a_machine_that_cannot_be_looked_at_is_looked_at_again(
    house: House, other: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = granted(house, HELD)
    killed(house, run, ready)
    fences = house.settings.home / "tickets" / "qa-1" / ".fences"
    fences.rename(fences.with_name("elsewhere"))
    fences.write_text("no folder")
    look(other)
    until(lambda: "cannot be picked up yet" in caplog.text, "it is told")
    assert stored(house, run).state is RunState.RUNNING
    fences.unlink()
    fences.with_name("elsewhere").rename(fences)
    go.let()
    other.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert output(house, run) == "one\ntwo\n"


def test_a_machine_that_cannot_be_seen_for_a_moment_is_no_reason_to_end_a_script(
    house: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        await_output(house, run, "one\n")
        printed = house.settings.home / "tickets" / "qa-1" / "run-1" / "output"
        printed.rename(printed.with_name("elsewhere"))
        printed.mkdir()  # nothing that could be read
        until(lambda: "run-1 runs on without its output" in caplog.text, "a look in vain")
        printed.rmdir()
        printed.with_name("elsewhere").rename(printed)
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == "one\ntwo\n"


def test_a_claim_whose_answer_got_lost_is_carried_out_once(house: House) -> None:
    run = granted(house, "echo once >> ran\n")
    house.database.unanswered.append("claim")
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)
    assert ran(house) == ["once"]
    assert house.held() == {"tag:app/QA": (["dep-1"], [])}


def test_an_end_whose_answer_got_lost_lets_the_chain_go_on_without_waiting_for_housekeeping(
    house: House,
) -> None:
    run = granted(house, "echo once >> ran\n")
    house.database.unanswered.append("end")
    assert house.execute(run) == Outcome(RunState.SUCCEEDED, 0)
    house.deliver_chains()
    assert house.detail(1).deployment.state == "succeeded"
    assert house.held() == {}


def test_a_failure_whose_answer_got_lost_is_followed_by_one_further_attempt(
    house: House,
) -> None:
    run = granted(house, '[ "$DEPLOYENGINE_ATTEMPT" = 2 ]\n', retries=1)
    house.database.unanswered.append("end")
    assert house.execute(run) == Outcome(RunState.FAILED, 1, "exit code 1")
    assert [again.run_id for again in house.dispatcher.granted] == [2]
    house.deliver_all()
    assert house.states(1) == ["failed", "succeeded"]


def test_output_whose_answer_got_lost_is_stored_once(house: House, ready: Gate, go: Gate) -> None:
    run = granted(house, HELD)
    house.database.unanswered.append("output")
    with under_way(house, run) as future:
        ready.hear()
        until(lambda: not house.database.unanswered, "the answer that got lost")
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == "one\ntwo\n"


def test_output_whose_answer_got_lost_with_its_worker_is_stored_once(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    house.database.unanswered.append("output")
    house.database.meanwhile["output"] = house.step_runs.let_go
    with under_way(house, run) as future:
        ready.hear()
        assert future.result(PATIENCE) is None
    assert output(house, run) == "one\n"
    house.lease.leave()
    look(other)
    go.let()
    other.pick_up.join()
    assert output(house, run) == "one\ntwo\n"


def test_a_script_runs_on_while_the_database_is_away_and_its_end_is_recorded_afterwards(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, HELD)
    with under_way(house, run) as future:
        ready.hear()
        house.database.away = True
        go.let()
        await_state(house, run, State.EXITED)
        house.database.away = False
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == "one\ntwo\n"
    house.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"
