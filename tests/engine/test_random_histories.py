"""Whatever people do and whatever gets lost, in whatever order: no clash, no standstill.

A few histories each time; ``HISTORIES=1000`` plays so many more, from the seed in ``SEED`` on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.histories import History
from tests.support.machines import NetworkedHouse

MANY = int(os.environ.get("HISTORIES", "12"))
FIRST = int(os.environ.get("SEED", "1257"))


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[NetworkedHouse]:
    """An engine whose machines come and go."""
    with NetworkedHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        yield house


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY))
def test_a_history_at_random_comes_to_rest_and_never_clashes(
    house: NetworkedHouse, seed: int
) -> None:
    history = History(house, seed, faults=seed % 2 == 0)
    try:
        history.go()
    except BaseException:
        print(*history.told, sep="\n")  # noqa: T201
        raise
