"""Passing faults: a script that cannot be seen for a moment is not ended, and its end stays.

The machine is real; the way to it fails as often as a test says, and can tell the moment. The same
holds for Redis: what is on record while it is away is carried on when it is back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine
from deployengine.domain.errors import Unreachable
from deployengine.engine.following import MOST_TROUBLES
from deployengine.engine.lease import Lease
from deployengine.engine.pick_up import ACCIDENT_AFTER
from deployengine.engine.ports import GrantedRun, Link
from deployengine.engine.questions import Answer
from deployengine.engine.recovery import LOST_AFTER
from deployengine.engine.step_runs import Outcome
from deployengine.locks.beats import reachable
from deployengine.steps.contract import Runner, State, Work, WorkTicket
from deployengine.steps.errors import StepError
from tests.acceptance.catalogs import catalog, project, step
from tests.engine.test_pick_up import (
    HELD,
    PATIENCE,
    await_output,
    claim,
    killed,
    look,
    ran,
    see_to_the_end,
    ticket,
)
from tests.engine.test_step_runs import granted, output, stored, tickets_left, under_way
from tests.steps.gates import Gate
from tests.support.engine import until
from tests.support.fakes import House, RecordingDispatcher, away

#: Whenever it is tried.
ALWAYS = 1_000_000


class Troubles:
    """What of a ticket fails from now on, and how often."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()
        self._lock = threading.Lock()
        #: How often something has failed so far.
        self.seen = 0
        #: Is called each time, with how often something of it has failed so far.
        self.meanwhile: Callable[[int], None] = lambda seen: None

    def expect(self, **times: int) -> None:
        """So often each of these fails."""
        with self._lock:
            self._left.update(times)

    def happen(self, what: str) -> None:
        """Fails, if it is its turn."""
        with self._lock:
            if not self._left[what]:
                return
            self._left[what] -= 1
            self.seen += 1
        self.meanwhile(self.seen)
        raise StepError(f"{what}: the machine does not answer")

    def over(self) -> bool:
        """Whether nothing is left to fail."""
        with self._lock:
            return not self._left.total()


class TroubledRunner:
    """The real way to a machine, whose tickets fail."""

    def __init__(self, runner: Runner, troubles: Troubles) -> None:
        self._runner = runner
        self._troubles = troubles

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def ticket(self, work: Work) -> WorkTicket:
        return TroubledTicket(self._runner.ticket(work), self._troubles)


class TroubledTicket:
    """The real ticket, unless it fails."""

    def __init__(self, real: WorkTicket, troubles: Troubles) -> None:
        self._real = real
        self._troubles = troubles

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def act(*arguments: Any) -> Any:
            self._troubles.happen(name)
            return real(*arguments)

        return act


class TroubledHouse(House):
    """A worker whose way to its machine fails now and then."""

    troubles: Troubles

    def _runner_of(self, machine: Machine) -> Runner:
        return TroubledRunner(super()._runner_of(machine), self.troubles)


@pytest.fixture
def troubled(house: House) -> Iterator[TroubledHouse]:
    """Such a worker."""
    key = house.settings.master_key
    with TroubledHouse(house.settings.home, house.redis, house.clock, master_key=key) as troubled:
        troubled.troubles = Troubles()
        yield troubled


@pytest.fixture
def other(house: House) -> Iterator[House]:
    """A second worker, which sees well and has given a sign of life."""
    with house.neighbour() as other:
        other.lease.beat()
        yield other


@contextmanager
def begun(house: House, run: GrantedRun, ready: Gate, go: Gate) -> Iterator[Future[Outcome | None]]:
    """The run being carried out, its script begun; whatever comes, it is let go in the end."""
    with under_way(house, run) as future:
        try:
            ready.hear()
            yield future
        finally:
            go.let()
            go.let()


# ---- while the script runs ----


@pytest.mark.parametrize("often", [1, MOST_TROUBLES])
def test_a_script_that_cannot_be_seen_for_a_while_runs_on(
    troubled: TroubledHouse,
    ready: Gate,
    go: Gate,
    caplog: pytest.LogCaptureFixture,
    often: int,
) -> None:
    run = granted(troubled, HELD)
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=often)
        until(troubled.troubles.over, "the troubles are over")
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert "run-1 cannot be seen: wait: the machine does not answer" in caplog.text
    assert (ran(troubled), output(troubled, run)) == (["once"], "one\ntwo\n")


def test_troubles_count_only_in_a_row(troubled: TroubledHouse, ready: Gate, go: Gate) -> None:
    run = granted(troubled, f"{HELD}echo > ../../../ready\nread -r _ < ../../../go\n")
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=MOST_TROUBLES)
        until(troubled.troubles.over, "the first troubles are over")
        go.let()
        ready.hear()
        await_output(troubled, run, "one\ntwo\n")  # it was seen in between
        troubled.troubles.expect(wait=MOST_TROUBLES)
        until(troubled.troubles.over, "the second troubles are over")
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert troubled.troubles.seen == 2 * MOST_TROUBLES


def test_a_script_that_cannot_be_seen_any_more_is_ended_and_has_failed(
    troubled: TroubledHouse, ready: Gate, go: Gate
) -> None:
    run = granted(troubled, HELD)
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=MOST_TROUBLES + 1)
        message = "wait: the machine does not answer"
        assert future.result(PATIENCE) == Outcome(RunState.FAILED, None, message)
    found = stored(troubled, run)
    assert (found.state, found.exit_code, found.message) == (RunState.FAILED, None, message)
    assert ticket(troubled, run).status().state is State.ABSENT, "it was ended and tidied up"
    assert output(troubled, run) == "one\n"
    troubled.deliver_all()
    assert troubled.detail(1).deployment.state == "failed"
    assert troubled.held() == {}


def test_a_script_that_can_neither_be_seen_nor_ended_is_unknown(
    troubled: TroubledHouse, ready: Gate, go: Gate
) -> None:
    run = granted(troubled, HELD)
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=MOST_TROUBLES + 1, cancel=1)
        outcome = future.result(PATIENCE)
    assert outcome is not None
    assert outcome.state is RunState.UNKNOWN
    assert "it may still run: cancel: the machine does not answer" in (outcome.message or "")


def test_a_script_that_cannot_be_seen_is_cancelled_all_the_same(
    troubled: TroubledHouse, ready: Gate, go: Gate
) -> None:
    run = granted(troubled, HELD)
    troubled.troubles.meanwhile = lambda seen: troubled.step_runs.cancel([run.run_id])
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=1)
        assert future.result(PATIENCE) == Outcome(RunState.CANCELLED, None, "cancelled")
    assert troubled.troubles.seen == 1
    assert tickets_left(troubled) == []


def test_time_goes_on_for_a_script_that_cannot_be_seen(
    troubled: TroubledHouse, ready: Gate, go: Gate
) -> None:
    run = granted(troubled, HELD, timeout="10m")
    troubled.troubles.meanwhile = lambda seen: troubled.clock.advance(601)
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=1)
        assert future.result(PATIENCE) == Outcome(RunState.FAILED, None, "timed out after 600 s")


def test_who_cannot_see_a_script_does_not_end_it_once_it_is_anothers(
    troubled: TroubledHouse, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(troubled, HELD)

    def lost(seen: int) -> None:
        if seen == 1:
            troubled.lease.leave()
            look(other)

    troubled.troubles.meanwhile = lost
    with begun(troubled, run, ready, go) as future:
        troubled.troubles.expect(wait=MOST_TROUBLES + 1)
        assert future.result(PATIENCE) is None
    assert stored(troubled, run).worker == other.lease.name
    go.let()
    other.pick_up.join()
    assert stored(troubled, run).state is RunState.SUCCEEDED
    assert (ran(troubled), output(troubled, run)) == (["once"], "one\ntwo\n")


# ---- once it has ended ----


@pytest.mark.parametrize("what", ["output", "outputs"])
def test_a_success_of_which_not_all_can_be_read_is_a_success_that_says_so(
    troubled: TroubledHouse, what: str
) -> None:
    run = granted(troubled, "echo once >> ran\nset_output Name value\n")
    troubled.troubles.expect(**{what: ALWAYS})
    message = f"what it printed could not be read to the end: {what}: the machine does not answer"
    assert troubled.execute(run) == Outcome(RunState.SUCCEEDED, 0, message)
    found = stored(troubled, run)
    assert (found.state, found.exit_code, found.message) == (RunState.SUCCEEDED, 0, message)
    troubled.deliver_all()
    assert troubled.detail(1).deployment.state == "succeeded"
    assert troubled.held() == {}


def test_a_failure_of_which_not_all_can_be_read_keeps_its_exit_code(
    troubled: TroubledHouse,
) -> None:
    run = granted(troubled, "exit 7\n")
    troubled.troubles.expect(outputs=ALWAYS)
    outcome = troubled.execute(run)
    assert outcome is not None
    assert (outcome.state, outcome.exit_code) == (RunState.FAILED, 7)
    assert (outcome.message or "").startswith("exit code 7; what it printed could not be read")


def test_a_folder_whose_outputs_are_gone_makes_no_failure_of_a_success(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, f"set_output Name value\n{HELD}")
    with begun(house, run, ready, go) as future:
        await_output(house, run, "one\n")
        folder = house.settings.home / "tickets" / "qa-1" / "run-1"
        (folder / "output").unlink()
        (folder / "outputs").unlink()
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert output(house, run) == "one\n"


# ---- a picker that cannot carry it on ----

SECRET = [{"name": "Token", "value": "wholly-5ecret", "sensitive": True}]
WITH_SECRET = f"{HELD}echo '#{{Token}}'\n"


@contextmanager
def stranger(house: House) -> Iterator[House]:
    """A worker of the same engine with another master key, which has looked around."""
    with House(house.settings.home, house.redis, house.clock) as stranger:
        see_to_the_end(stranger)
        yield stranger


def test_a_run_that_one_worker_cannot_read_runs_on_and_is_ended_well_by_another(
    house: House, other: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = granted(house, WITH_SECRET, variables=SECRET)
    killed(house, run, ready)
    with stranger(house) as unable:
        assert "run-1 is left to another worker" in caplog.text
        assert not unable.step_runs.carries_out(run.run_id)
        assert stored(house, run).state is RunState.RUNNING
        assert ticket(house, run).status().state is State.RUNNING
        look(other)
        assert stored(house, run).worker == other.lease.name
        look(unable)
        go.let()
        other.pick_up.join()
        unable.pick_up.join()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert (ran(house), output(house, run)) == (["once"], "one\ntwo\n********\n")
    other.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"


def test_a_run_that_never_began_is_not_put_back_by_who_cannot_read_it(
    house: House, other: House
) -> None:
    run = granted(house, WITH_SECRET.replace(HELD, "echo once >> ran\n"), variables=SECRET)
    claim(house, run)
    house.lease.leave()
    with stranger(house) as unable:
        assert stored(house, run).state is RunState.RUNNING
        assert unable.dispatcher.quiet
        see_to_the_end(other)
    assert stored(house, run).state is RunState.WAITING
    other.deliver_all()
    assert stored(house, run).state is RunState.SUCCEEDED
    assert ran(house) == ["once"]


def test_a_run_that_is_to_be_cancelled_waits_for_who_can_read_it_and_then_ends(
    house: House, other: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, WITH_SECRET, variables=SECRET)
    killed(house, run, ready)
    house.deployments.cancel(1)
    with stranger(house):
        assert stored(house, run).state is RunState.RUNNING
        look(other)
        look(other)
        other.pick_up.join()
    assert stored(house, run).state is RunState.CANCELLED
    other.deliver_all()
    assert house.detail(1).deployment.state == "cancelled"
    assert tickets_left(house) == []


# ---- signs of life ----


class ListeningWitness:
    """Notes how many signs of life the database has counted when one comes here."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.counted: list[int] = []

    def beat(self, name: str, number: int) -> None:
        with self._house.database.read() as tx:
            self.counted += [worker.beat for worker in tx.workers.at_work() if worker.name == name]

    def beats(self) -> dict[str, int]:
        return {}

    def forget(self, names: object) -> None: ...


def test_redis_hears_of_a_worker_before_a_database_that_may_hang(house: House) -> None:
    witness = ListeningWitness(house)
    lease = Lease(house.database, witness, house.clock, "worker", 1, house.settings.lease)
    for _ in range(4):
        lease.beat()
    assert witness.counted == [0, 0, 1, 2], "only the first time the database had to be asked first"


class DeafWitness(ListeningWitness):
    """A Redis that is away."""

    def beat(self, name: str, number: int) -> None:
        raise Unreachable("Redis", "the locks", "the test has cut it off")


def test_a_database_hears_of_a_worker_although_redis_does_not(house: House) -> None:
    lease = Lease(house.database, DeafWitness(house), house.clock, "w", 1, house.settings.lease)
    for _ in range(3):
        lease.beat()
        assert lease.good()
    with house.database.read() as tx:
        (worker,) = tx.workers.at_work()
    assert (worker.name, worker.beat) == (lease.name, 2)


def test_with_both_away_it_is_the_database_that_is_told_of(house: House) -> None:
    lease = Lease(house.database, DeafWitness(house), house.clock, "w", 1, house.settings.lease)
    lease.beat()
    house.database.away = True
    with pytest.raises(Unreachable, match="the database"):
        lease.beat()


# ---- Redis is away while something is put on record ----


class BrokerDispatcher(RecordingDispatcher):
    """Its messages go over Redis: none while that is away."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis

    def chain(self, links: Sequence[Link]) -> None:
        with reachable(self._redis):
            self._redis.ping()
        super().chain(links)

    def runs(self, granted: Sequence[GrantedRun]) -> None:
        with reachable(self._redis):
            self._redis.ping()
        super().runs(granted)

    def cancel(self, run_ids: Sequence[int]) -> None:
        with reachable(self._redis):
            self._redis.ping()
        super().cancel(run_ids)


class BrokerHouse(House):
    """A process whose messages go over the Redis that has the locks."""

    @cached_property
    def dispatcher(self) -> BrokerDispatcher:  # type: ignore[override]  # the port is what counts
        return BrokerDispatcher(self.redis)


@pytest.fixture
def broker(house: House) -> Iterator[House]:
    """Such a process."""
    key = house.settings.master_key
    with BrokerHouse(house.settings.home, house.redis, house.clock, master_key=key) as broker:
        yield broker


def assert_told(caplog: pytest.LogCaptureFixture, what: str) -> None:
    """A warning says that it is on record, and what is missing."""
    told = f"{what} is on record, what follows comes later: cannot reach Redis"
    assert [r.levelname for r in caplog.records if told in r.getMessage()] == ["WARNING"]


def housekeep(house: House) -> None:
    """Housekeeping sees things as they are, and finds them so again when they must be lost."""
    house.recovery.sweep()
    house.clock.advance(LOST_AFTER)
    house.recovery.sweep()
    house.deliver_all()


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


@pytest.fixture(params=["as it was", "emptied"])
def back(request: pytest.FixtureRequest) -> Callable[[House], None]:
    """What Redis is like when it comes back."""

    def come_back(house: House) -> None:
        if request.param == "emptied":
            house.redis.flushall()

    return come_back


def test_a_deployment_that_has_not_begun_is_cancelled_while_redis_is_away(
    broker: House, caplog: pytest.LogCaptureFixture, back: Callable[[House], None]
) -> None:
    broker.apply(catalog(project("app", "echo once >> ran\n")))
    first, second = broker.create("app"), broker.create("app", "2.0")
    with away(broker.redis):
        assert broker.deployments.cancel(first.id).state == "cancelled"
    assert_told(caplog, "the cancelling of dep-1")
    back(broker)
    housekeep(broker)
    assert (state(broker, first.id), state(broker, second.id)) == ("cancelled", "succeeded")
    assert (ran(broker), broker.held()) == (["once"], {})


def test_a_deployment_whose_run_is_parked_is_cancelled_while_redis_is_away(
    broker: House, caplog: pytest.LogCaptureFixture, back: Callable[[House], None]
) -> None:
    broker.apply(catalog(*(project(n, f"echo {n} >> ran\n") for n in ("one", "two", "three"))))
    deployments = [broker.create(name) for name in ("one", "two", "three")]
    broker.deliver_chains()
    with away(broker.redis):
        cancelled = broker.deployments.cancel(deployments[1].id)
    assert cancelled.cancel_requested_at is not None
    assert broker.states(cancelled.id) == ["cancelled"]
    assert_told(caplog, "the cancelling of dep-2")
    back(broker)
    housekeep(broker)
    assert [state(broker, each.id) for each in deployments] == [
        *("succeeded", "cancelled", "succeeded"),
    ]
    assert (ran(broker), broker.held()) == (["one", "three"], {})


def test_a_script_that_is_cancelled_while_redis_is_away_is_ended_when_it_is_back(
    broker: House, ready: Gate, go: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    broker.apply(catalog(project("app", process=[step(HELD), step("true\n", "next")])))
    broker.create("app")
    broker.deliver_chains()
    (run,) = broker.dispatcher.take_runs()
    with begun(broker, run, ready, go) as future:
        with away(broker.redis):
            broker.deployments.cancel(1)
        assert_told(caplog, "the cancelling of dep-1")
        assert broker.dispatcher.told_cancelled == []
        broker.recovery.sweep()
        broker.step_runs.cancel(broker.dispatcher.told_cancelled)
        assert future.result(PATIENCE) == Outcome(RunState.CANCELLED, None, "cancelled")
    housekeep(broker)
    assert (state(broker, 1), broker.states(1)) == ("cancelled", ["cancelled", "cancelled"])
    assert broker.held() == {}


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(Answer.SUCCEEDED, "succeeded"), (Answer.FAILED, "failed"), (Answer.RERUN, "succeeded")],
)
def test_an_answer_that_is_given_while_redis_is_away_counts_when_it_is_back(
    broker: House,
    caplog: pytest.LogCaptureFixture,
    back: Callable[[House], None],
    answer: Answer,
    ends: str,
) -> None:
    gone = "[ $DEPLOYENGINE_ATTEMPT = 1 ] && kill -9 0\necho $DEPLOYENGINE_ATTEMPT >> ran\n"
    run = granted(broker, gone, on_unknown="ask")
    broker.execute(run)
    broker.deliver_all()
    assert (state(broker, 1), stored(broker, run).asks) == ("paused", True)
    with away(broker.redis):
        answered = broker.answers.answer(run.run_id, answer, "ann", "seen")
    assert "ann answered" in (answered.message or "")
    assert not answered.asks
    assert_told(caplog, "the answer for run-1")
    back(broker)
    housekeep(broker)
    assert state(broker, 1) == ends
    assert (ran(broker), broker.held()) == (["2"] if answer is Answer.RERUN else [], {})


def test_a_script_that_ends_while_redis_is_away_lets_the_next_one_in_when_it_is_back(
    broker: House,
    ready: Gate,
    go: Gate,
    caplog: pytest.LogCaptureFixture,
    back: Callable[[House], None],
) -> None:
    broker.apply(catalog(project("app", HELD), project("next", "echo next >> ran\n")))
    broker.create("app")
    broker.create("next")
    broker.deliver_chains()
    (run,) = broker.dispatcher.take_runs()
    with begun(broker, run, ready, go) as future, away(broker.redis):
        go.let()
        assert future.result(PATIENCE) == Outcome(RunState.SUCCEEDED, 0)
    assert stored(broker, run).state is RunState.SUCCEEDED
    assert_told(caplog, "the end of run-1")
    back(broker)
    housekeep(broker)
    assert (state(broker, 1), state(broker, 2)) == ("succeeded", "succeeded")
    assert (ran(broker), broker.held()) == (["once", "next"], {})


def test_a_failure_that_is_retried_while_redis_is_away_is_tried_again_when_it_is_back(
    broker: House, caplog: pytest.LogCaptureFixture, back: Callable[[House], None]
) -> None:
    again = "echo $DEPLOYENGINE_ATTEMPT >> ran\n[ $DEPLOYENGINE_ATTEMPT = 2 ]\n"
    run = granted(broker, again, retries=1)
    broker.lease.beat()
    with away(broker.redis):
        assert broker.execute(run) == Outcome(RunState.FAILED, 1, "exit code 1")
    assert_told(caplog, "the end of run-1")
    back(broker)
    housekeep(broker)
    assert (state(broker, 1), broker.states(1)) == ("succeeded", ["failed", "succeeded"])
    assert (ran(broker), broker.held()) == (["1", "2"], {})


def test_a_run_that_a_worker_has_left_to_itself_and_cannot_read_is_anybodys(
    house: House, ready: Gate, go: Gate
) -> None:
    run = granted(house, WITH_SECRET, variables=SECRET)
    killed(house, run, ready)
    with House(house.settings.home, house.redis, house.clock) as unable, house.neighbour() as other:
        unable.lease.beat()
        unable.database.unanswered.append("take-over")
        with pytest.raises(Unreachable):
            look(unable)
        for _ in range(3):
            look(unable)
            house.clock.advance(ACCIDENT_AFTER)
        unable.pick_up.join()
        for worker in (unable, other, other):
            look(worker)
        assert stored(house, run).worker == other.lease.name
        go.let()
        other.pick_up.join()


def test_a_deployment_that_redis_does_not_hear_of_is_on_record_once_and_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.apply(catalog(project("app", "true\n")))
    house.create("app")
    house.deliver_all()
    with away(house.redis):
        deployed = house.deployments.deploy("app", "1.0", "QA")
    assert "is on record, what follows comes later" in caplog.text
    house.recovery.sweep()
    house.deliver_all()
    assert house.detail(deployed.id).deployment.state == "succeeded"
