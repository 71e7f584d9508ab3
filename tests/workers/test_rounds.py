"""Rounds: something is done every few seconds, whatever happens to it."""

from __future__ import annotations

import logging
import threading

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from deployengine.domain.errors import Unreachable
from tests.support.fakes import House
from workers.rounds import Rounds

PATIENCE = 20.0
#: Seconds; no round of a test comes by itself.
NEVER = 3600.0
SOON = 0.001

TROUBLES = [
    Unreachable("the database", "somewhere"),
    RedisConnectionError("gone"),
    RuntimeError("a fault of ours"),
]


class Act:
    """Goes wrong in each of these ways, one a round, and then well."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.went_well = threading.Semaphore(0)

    def __call__(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.went_well.release()

    def await_round(self) -> None:
        assert self.went_well.acquire(timeout=PATIENCE), "no round came"


def end(rounds: Rounds) -> None:
    rounds.stop()
    assert not rounds.is_alive()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
def test_a_round_that_fails_is_told_and_the_next_one_is_made(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    act = Act(trouble, trouble)
    rounds = Rounds("the work", SOON, act)
    with caplog.at_level(logging.WARNING, "deployengine.rounds"):
        rounds.start()
        act.await_round()
        end(rounds)
    assert [record.getMessage().startswith("the work") for record in caplog.records] == [True] * 2


def test_a_round_that_fails_is_tried_again_before_its_turn() -> None:
    act = Act(Unreachable("the database", "somewhere"))
    rounds = Rounds("the work", NEVER, act)
    rounds.start()
    act.await_round()
    end(rounds)


def test_what_is_out_of_reach_is_mended_and_a_fault_of_ours_is_not() -> None:
    act, mended = Act(*TROUBLES), []
    rounds = Rounds("the work", SOON, act, on_trouble=lambda: mended.append("Redis"))
    rounds.start()
    act.await_round()
    end(rounds)
    assert mended == ["Redis"] * 2


def test_mending_that_fails_does_not_end_the_rounds() -> None:
    def fail() -> None:
        raise Unreachable("Redis", "somewhere")

    act = Act(RedisConnectionError("gone"))
    rounds = Rounds("the work", SOON, act, on_trouble=fail)
    rounds.start()
    act.await_round()
    end(rounds)


def test_the_next_round_comes_at_once_when_it_is_called_for() -> None:
    act = Act()
    rounds = Rounds("the work", NEVER, act)
    rounds.start()
    for _ in range(3):
        act.await_round()
        rounds.at_once()
    act.await_round()
    end(rounds)


def test_stopping_waits_for_the_round_that_is_under_way_and_lets_none_follow() -> None:
    begun, go, rounds_made = threading.Event(), threading.Event(), []

    def act() -> None:
        begun.set()
        assert go.wait(PATIENCE)
        rounds_made.append("one")

    rounds = Rounds("the work", SOON, act)
    rounds.start()
    assert begun.wait(PATIENCE)
    stopping = threading.Thread(target=rounds.stop)
    stopping.start()
    go.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert not rounds.is_alive()
    assert rounds_made == ["one"]


def test_rounds_that_were_stopped_before_they_began_make_none() -> None:
    act = Act()
    rounds = Rounds("the work", SOON, act)
    rounds.stop()
    rounds.start()
    rounds.join(PATIENCE)
    assert not act.went_well.acquire(blocking=False)


def test_a_worker_whose_heart_beats_in_rounds_is_on_the_roll_until_it_leaves(
    house: House,
) -> None:
    beaten = threading.Event()

    def beat() -> None:
        house.lease.beat()
        beaten.set()

    rounds = Rounds("heartbeat", NEVER, beat)
    rounds.start()
    assert beaten.wait(PATIENCE)
    assert house.roll.task_cap() == house.settings.task_cap
    end(rounds)
    house.lease.leave()
    assert house.roll.task_cap() == 0
