"""The lease: who gives signs of life may begin scripts, and who was silent knows it first."""

from __future__ import annotations

import logging
import re

import pytest

from deployengine.domain.errors import Unreachable
from deployengine.engine.lease import BEATS, Lease, beat_interval
from deployengine.persistence.records import WorkerRecord
from tests.support.fakes import FakeClock, House, away

#: What is left of a lease when a beat is taken off it, as in the settings of a house.
ALLOWANCE = 8.0


def at_work(house: House) -> list[WorkerRecord]:
    with house.database.read() as tx:
        return tx.workers.at_work()


def declare_lost(house: House) -> None:
    """Somebody else has declared the worker of this house lost."""
    (worker,) = at_work(house)
    with house.database.write() as tx:
        assert tx.workers.lose(worker.name, worker.beat, house.clock.now())


class SlowWitness:
    """Takes its time to hear a sign of life."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def beat(self, name: str, number: int) -> None:
        self._clock.advance(self._seconds)

    def beats(self) -> dict[str, int]:
        return {}

    def forget(self, names: object) -> None: ...


def test_a_lease_is_good_from_its_first_sign_until_a_beat_before_its_end(house: House) -> None:
    assert beat_interval(house.settings.lease) == house.settings.lease / BEATS
    assert not house.lease.good(), "nobody has heard of it"
    house.lease.beat()
    house.clock.advance(ALLOWANCE - 0.01)
    assert house.lease.good()
    house.clock.advance(0.01)
    assert not house.lease.good()
    assert house.lease.silence == pytest.approx(ALLOWANCE)


def test_each_sign_of_life_renews_the_lease_and_is_counted_by_both_witnesses(
    house: House,
) -> None:
    for count in range(3):
        house.lease.beat()
        assert house.beats.beats() == {house.lease.name: count + 1}
        (worker,) = at_work(house)
        assert (worker.beat, worker.seen_at) == (count, house.clock.now())
        house.clock.advance(ALLOWANCE - 1)
        assert house.lease.good()


def test_the_lease_counts_from_before_the_sign_was_given(house: House) -> None:
    witness = SlowWitness(house.clock, 3)
    lease = Lease(house.database, witness, house.clock, "slow", 1, house.settings.lease)
    lease.beat()
    assert lease.silence == 3
    house.clock.advance(ALLOWANCE - 3)
    assert not lease.good()


def test_two_processes_of_one_host_never_have_the_same_name(house: House) -> None:
    house.lease.beat()
    with house.neighbour() as other:
        other.lease.beat()
        assert other.lease.name != house.lease.name
    assert len(at_work(house)) == 2


def test_one_witness_is_enough_and_the_other_is_missed(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.lease.beat()
    house.clock.advance(ALLOWANCE)
    house.database.away = True
    house.lease.beat()
    assert house.lease.good()
    house.database.away = False
    house.clock.advance(ALLOWANCE)
    with away(house.redis):
        house.lease.beat()
    assert house.lease.good()
    warnings = [r.getMessage() for r in caplog.records if r.name == "deployengine.lease"]
    assert len(warnings) == 2
    assert all("one witness did not hear" in warning for warning in warnings)


def test_with_both_witnesses_away_no_sign_of_life_is_given(house: House) -> None:
    house.lease.beat()
    house.clock.advance(ALLOWANCE)
    house.database.away = True
    with away(house.redis), pytest.raises(Unreachable, match="the database"):
        house.lease.beat()
    assert not house.lease.good()


def test_a_worker_that_no_database_knows_yet_has_no_lease(house: House) -> None:
    house.database.away = True
    with pytest.raises(Unreachable, match="the database"):
        house.lease.beat()
    assert not house.lease.good()
    assert house.lease.name == ""
    assert house.beats.beats() == {}
    house.database.away = False
    house.lease.beat()
    assert house.lease.good()


def test_a_worker_that_was_declared_lost_says_so_and_goes_on_under_another_name(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.lease.beat()
    first = house.lease.name
    declare_lost(house)
    house.clock.advance(12.3)
    with caplog.at_level(logging.WARNING, "deployengine.lease"):
        house.lease.beat()
    assert house.lease.good()
    assert house.lease.name != first
    assert [worker.name for worker in at_work(house)] == [house.lease.name]
    (record,) = caplog.records
    said = f"{re.escape(first)} was silent for 12.3 s .* was declared lost; .* goes on as "
    assert re.search(said + re.escape(house.lease.name), record.getMessage())


def test_who_leaves_is_at_work_no_more_and_is_struck_off_by_both_witnesses(house: House) -> None:
    house.lease.beat()
    house.clock.advance(1)
    house.lease.leave()
    assert at_work(house) == []
    assert house.beats.beats() == {}
    with house.database.read() as tx:
        (worker,) = tx.workers.during(house.clock.now(), house.clock.now())
    assert (worker.left_at, worker.lost_at) == (house.clock.now(), None)


def test_leaving_while_redis_is_away_is_told_and_on_record(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.lease.beat()
    with away(house.redis):
        house.lease.leave()
    assert at_work(house) == []
    assert f"Redis will remember {house.lease.name} for a while" in caplog.text


def test_workers_of_long_ago_are_forgotten_when_another_one_comes(house: House) -> None:
    with house.neighbour() as old:
        old.lease.beat()
        old.lease.leave()
    house.clock.advance(91 * 24 * 3600)
    house.lease.beat()
    with house.database.engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM worker").scalars().all()
    assert names == [house.lease.name]
