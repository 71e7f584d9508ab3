"""The engine over a SQLite file and a Redis within this process, with fakes at its own seams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from redis import Redis

from tests.steps.gates import Gate
from tests.support.fakes import House

T = TypeVar("T")


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[House]:
    with House(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()  # as it is once a first process has been there
        yield house


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Gate]:
    """A script says by ``echo > ../../../ready`` how far it has come."""
    with Gate(tmp_path / "ready") as gate:
        yield gate


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Gate]:
    """A script waits by ``read x < ../../../go`` to be let through."""
    with Gate(tmp_path / "go") as gate:
        yield gate


def at_once(*acts: Callable[[], T]) -> list[T]:
    """What each came to, all of them begun at the same time in threads of their own."""
    barrier = threading.Barrier(len(acts))

    def begin(act: Callable[[], T]) -> T:
        barrier.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begin, acts))
