"""The watch over the locks: who is told when they are gone, and until when."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deployengine.domain.admission import Request
from deployengine.domain.errors import Unreachable
from deployengine.locks import MachineLocks
from deployengine.services import LOCKS_PREFIX
from tests.support.fakes import House
from tests.support.servers import private_redis
from workers.locks_watch import LocksWatch


class Told:
    """Counts how often housekeeping was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_nobody_is_told_while_the_locks_are_there(house: House) -> None:
    told = Told()
    watch = LocksWatch(house.ensure_redis, house.locks, told)
    watch.look()
    watch.look()
    assert told.times == 0


def test_that_the_locks_are_gone_is_told_until_somebody_loads_them(house: House) -> None:
    told = Told()
    watch = LocksWatch(house.ensure_redis, house.locks, told)
    house.redis.flushall()
    watch.look()
    watch.look()
    assert told.times == 2
    house.handoff.rebuild()
    watch.look()
    assert told.times == 2


def test_while_they_are_loaded_nobody_is_told(house: House) -> None:
    told = Told()

    def meanwhile() -> Iterator[Request]:
        LocksWatch(house.ensure_redis, house.locks, told).look()
        yield from ()

    house.locks.rebuild((house.locks.generation() or 0) + 1, meanwhile(), [])
    assert told.times == 0


def test_while_redis_is_away_nobody_is_told_but_once_it_is_back(
    tmp_path: Path, house: House
) -> None:
    told = Told()
    with Redis(unix_socket_path=str(tmp_path / "nobody"), db=0) as nobody:
        with pytest.raises(Unreachable):
            LocksWatch(house.ensure_redis, MachineLocks(nobody, LOCKS_PREFIX), told).look()
        assert told.times == 0
    house.redis.flushall()
    LocksWatch(house.ensure_redis, house.locks, told).look()
    assert told.times == 1


def test_an_embedded_redis_that_died_is_started_and_the_loss_is_told_in_the_same_look(
    tmp_path: Path,
) -> None:
    told = Told()
    with (
        private_redis() as server,
        server.client() as client,
        House(tmp_path / "home", client) as house,
    ):
        house.handoff.rebuild()
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        while server.embedded.running():
            pass

        def ensure() -> None:
            server.embedded.ensure()

        LocksWatch(ensure, house.locks, told).look()
        assert client.ping()
    assert told.times == 1
