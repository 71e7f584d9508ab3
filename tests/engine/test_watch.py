"""The watch: a worker is lost when both witnesses say so, and by nobody's clock but the watcher's.

Houses over one home are processes of one engine; one that does not beat has been stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from deployengine.domain.errors import Unreachable
from deployengine.engine.lease import beat_interval
from deployengine.engine.watch import Watch
from deployengine.persistence.schema import worker
from tests.support.fakes import House, away

LEASE = 10.0
BEAT = beat_interval(LEASE)


@pytest.fixture
def silent(house: House) -> Iterator[House]:
    """A worker that has given its sign of life."""
    with house.neighbour() as other:
        other.lease.beat()
        yield other


@pytest.fixture
def watch(house: House) -> Watch:
    """The watch of another worker."""
    return Watch(house.database, house.beats, house.clock, house.settings.lease)


def look_for(house: House, watch: Watch, seconds: float) -> list[str]:
    """Looks now and every beat until so much time has passed: who was declared lost."""
    lost = watch.look()
    for _ in range(round(seconds / BEAT)):
        house.clock.advance(BEAT)
        lost += watch.look()
    return lost


def test_a_worker_that_is_silent_for_a_lease_is_lost_and_not_before(
    house: House, watch: Watch, silent: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert look_for(house, watch, LEASE - BEAT) == []
    house.clock.advance(BEAT)
    with caplog.at_level(logging.WARNING, "deployengine.watch"):
        assert watch.look() == [silent.lease.name]
    assert f"{silent.lease.name} gave no sign of life for 10 s and is lost" in caplog.text
    assert house.beats.beats() == {}
    assert look_for(house, watch, 2 * LEASE) == [], "nobody is lost twice"


def test_a_worker_that_gives_signs_of_life_is_never_lost(
    house: House, watch: Watch, silent: House
) -> None:
    for _ in range(20):
        assert watch.look() == []
        house.clock.advance(BEAT)
        silent.lease.beat()


@pytest.mark.parametrize("witness", ["database", "redis"])
def test_a_sign_of_life_with_either_witness_keeps_a_worker(
    house: House, watch: Watch, silent: House, witness: str
) -> None:
    for number in range(20):
        assert watch.look() == []
        house.clock.advance(BEAT)
        if witness == "redis":
            silent.beats.beat(silent.lease.name, number + 2)
        else:
            with silent.database.write() as tx:
                assert tx.workers.beat(silent.lease.name, house.clock.now())


def test_a_redis_that_was_emptied_has_nothing_to_say_against_it(
    house: House, watch: Watch, silent: House
) -> None:
    house.redis.flushall()
    assert look_for(house, watch, LEASE) == [silent.lease.name]


def test_a_redis_that_is_emptied_on_the_way_is_a_change_like_any_other(
    house: House, watch: Watch, silent: House
) -> None:
    assert look_for(house, watch, LEASE - BEAT) == []
    house.redis.flushall()
    house.clock.advance(BEAT)
    assert look_for(house, watch, LEASE - BEAT) == []
    house.clock.advance(BEAT)
    assert watch.look() == [silent.lease.name]


def test_while_redis_cannot_be_asked_nobody_is_lost(
    house: House, watch: Watch, silent: House, caplog: pytest.LogCaptureFixture
) -> None:
    watch.look()
    with away(house.redis):
        assert look_for(house, watch, 3 * LEASE) == []
    assert "nobody is declared lost while Redis cannot be asked" in caplog.text
    assert look_for(house, watch, LEASE - BEAT) == [], "nothing was seen of the time between"
    house.clock.advance(BEAT)
    assert watch.look() == [silent.lease.name]


def test_while_the_database_cannot_be_asked_the_watch_says_so(
    house: House, watch: Watch, silent: House
) -> None:
    house.database.away = True
    with pytest.raises(Unreachable):
        watch.look()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_of_a_row_that_is_an_hour_off_changes_nothing(
    house: House, watch: Watch, silent: House, hours: int
) -> None:
    with house.database.engine.begin() as connection:
        seen = house.clock.now() + timedelta(hours=hours)
        connection.execute(update(worker).values(seen_at=seen, started_at=seen))
    assert look_for(house, watch, LEASE - BEAT) == []
    house.clock.advance(BEAT)
    assert watch.look() == [silent.lease.name]


def test_a_watcher_that_slept_has_seen_nothing_and_begins_anew(
    house: House, watch: Watch, silent: House
) -> None:
    watch.look()
    house.clock.advance(3 * LEASE)
    assert look_for(house, watch, LEASE - BEAT) == []
    house.clock.advance(BEAT)
    assert watch.look() == [silent.lease.name]


def test_a_sign_of_life_between_look_and_sentence_saves_a_worker(
    house: House, silent: House
) -> None:
    class Waking:
        """While Redis is asked, the worker wakes and gives a sign of life to the database."""

        wakes = False

        def beat(self, name: str, number: int) -> None: ...

        def beats(self) -> dict[str, int]:
            if self.wakes:
                silent.lease.beat()
            return {silent.lease.name: 1}

        def forget(self, names: object) -> None: ...

    witness = Waking()
    watch = Watch(house.database, witness, house.clock, LEASE)
    assert look_for(house, watch, LEASE - BEAT) == []
    house.clock.advance(BEAT)
    witness.wakes = True
    assert watch.look() == []
    with house.database.read() as tx:
        assert [w.name for w in tx.workers.at_work()] == [silent.lease.name]


def test_of_two_watchers_one_declares_a_worker_lost(
    house: House, watch: Watch, silent: House
) -> None:
    other = Watch(house.database, house.beats, house.clock, LEASE)
    for _ in range(round(LEASE / BEAT)):
        assert watch.look() + other.look() == []
        house.clock.advance(BEAT)
    assert watch.look() + other.look() == [silent.lease.name]


def test_what_redis_remembers_of_workers_that_nobody_knows_is_struck_off(
    house: House, watch: Watch
) -> None:
    house.beats.beat("long gone", 7)
    house.lease.beat()
    assert watch.look() == []
    assert house.beats.beats() == {house.lease.name: 1}


def test_a_worker_that_was_lost_and_wakes_goes_on_and_is_watched_under_its_new_name(
    house: House, watch: Watch, silent: House
) -> None:
    first = silent.lease.name
    assert look_for(house, watch, LEASE) == [first]
    silent.lease.beat()
    assert look_for(house, watch, LEASE) == [silent.lease.name]
    assert silent.lease.name != first
