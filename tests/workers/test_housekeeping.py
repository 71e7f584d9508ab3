"""The threads beside the work: sweeping whatever happens, and beating for as long as one lives."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from deployengine.domain.errors import Unreachable
from tests.support.fakes import House
from workers.housekeeping import Heartbeat, Housekeeping

PATIENCE = 10.0


@dataclass
class Interval:
    """The one setting that the threads look at; seconds."""

    housekeeping_interval: float = 0.001


@dataclass
class Engine:
    """Goes wrong in each of these ways, one a sweep, and then well."""

    troubles: list[Exception]
    settings: Interval = field(default_factory=Interval)
    went_well: threading.Event = field(default_factory=threading.Event)
    revived: int = 0

    @property
    def recovery(self) -> Engine:
        return self

    @property
    def roll(self) -> Engine:
        return self

    def sweep(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.went_well.set()

    def ensure_redis(self) -> None:
        self.revived += 1

    def beat(self, _name: str, _task_cap: int) -> None:
        self.sweep()

    def leave(self, _name: str) -> None:
        """Nothing is kept here."""


@pytest.mark.parametrize(
    "trouble",
    [
        Unreachable("the database", "somewhere"),
        RedisConnectionError("gone"),
        RuntimeError("a fault of ours"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_sweep_that_fails_is_told_and_the_next_one_is_made(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine([trouble, trouble])
    housekeeping = Housekeeping(engine)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "deployengine.housekeeping"):
        housekeeping.start()
        assert engine.went_well.wait(PATIENCE), "no sweep came after those that failed"
        housekeeping.stop()
        housekeeping.join(PATIENCE)
    assert not housekeeping.is_alive()
    assert len(caplog.records) == 2


def test_a_redis_that_is_gone_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine([RedisConnectionError("gone")])
    housekeeping = Housekeeping(engine)  # type: ignore[arg-type]
    housekeeping.start()
    assert engine.went_well.wait(PATIENCE)
    housekeeping.stop()
    housekeeping.join(PATIENCE)
    assert engine.revived == 1


def test_housekeeping_that_was_stopped_before_it_began_sweeps_not_once() -> None:
    engine = Engine([])
    housekeeping = Housekeeping(engine)  # type: ignore[arg-type]
    housekeeping.stop()
    housekeeping.start()
    housekeeping.join(PATIENCE)
    assert not engine.went_well.is_set()


@pytest.mark.parametrize(
    "trouble",
    [Unreachable("the database", "somewhere"), RuntimeError("a fault of ours")],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_beat_that_fails_is_told_and_the_next_one_is_made(trouble: Exception) -> None:
    engine = Engine([trouble])
    heartbeat = Heartbeat(engine, "worker-1", 5)  # type: ignore[arg-type]
    heartbeat.start()
    assert engine.went_well.wait(PATIENCE), "no beat came after the one that failed"
    heartbeat.stop()
    assert not heartbeat.is_alive()


def test_a_worker_is_on_the_roll_until_its_heart_is_stopped(house: House) -> None:
    beaten = threading.Event()
    beat = house.roll.beat

    def told(name: str, task_cap: int) -> None:
        beat(name, task_cap)
        beaten.set()

    house.roll.beat = told  # type: ignore[method-assign]  # to be told, the beat itself is real
    heartbeat = Heartbeat(house, "worker-1", 5)
    heartbeat.start()
    assert beaten.wait(PATIENCE)
    assert house.roll.task_cap() == 5
    heartbeat.stop()
    assert house.roll.task_cap() == 0
    assert not heartbeat.is_alive()


def test_stopping_a_heart_while_the_database_is_away_is_no_error_of_the_stop() -> None:
    engine = Engine([])

    def away(_name: str) -> None:
        raise Unreachable("the database", "somewhere")

    engine.leave = away  # type: ignore[method-assign]
    heartbeat = Heartbeat(engine, "worker-1", 5)  # type: ignore[arg-type]
    heartbeat.start()
    assert engine.went_well.wait(PATIENCE)
    heartbeat.stop()
    assert not heartbeat.is_alive()
