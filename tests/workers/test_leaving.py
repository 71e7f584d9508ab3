"""Leaving: a worker says farewell once, and whoever cannot hear it is no reason to stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.fakes import House
from workers.processes import Leaving
from workers.rounds import Rounds

#: Seconds; no round of a test comes by itself.
NEVER = 3600.0


@pytest.fixture
def heartbeat(house: House) -> Iterator[Rounds]:
    """The worker's heart, which has beaten once."""
    house.lease.beat()
    rounds = Rounds("heartbeat", NEVER, lambda: None)
    rounds.start()
    yield rounds
    rounds.stop()


def test_a_worker_that_leaves_beats_no_more_and_both_witnesses_strike_it_off(
    house: House, heartbeat: Rounds
) -> None:
    assert house.beats.beats() == {house.lease.name: 1}
    Leaving(house, heartbeat).leave()
    assert not heartbeat.is_alive()
    assert house.beats.beats() == {}
    with house.database.read() as tx:
        assert tx.workers.at_work() == []
    assert house.dispatcher.told_left == 1


def test_a_worker_leaves_once(house: House, heartbeat: Rounds) -> None:
    leaving = Leaving(house, heartbeat)
    leaving.leave()
    with house.database.read() as tx:
        (before,) = tx.workers.during(house.clock.now(), house.clock.now())
    house.clock.advance(5)
    leaving.leave()
    assert house.dispatcher.told_left == 1
    with house.database.read() as tx:
        (after,) = tx.workers.during(before.seen_at, house.clock.now())
    assert after == before


def test_leaving_while_the_database_is_away_is_no_error_of_the_end(
    house: House, heartbeat: Rounds, caplog: pytest.LogCaptureFixture
) -> None:
    house.database.away = True
    with caplog.at_level(logging.WARNING, "deployengine.worker"):
        Leaving(house, heartbeat).leave()
    house.database.away = False
    assert not heartbeat.is_alive()
    assert "others will miss this worker in a while" in caplog.text
