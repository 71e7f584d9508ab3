"""What an operation costs does not depend on how many wait: commands are counted, not timed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from deployengine.domain.admission import Claim, Mode, Request
from deployengine.locks.machine_locks import MachineLocks

GENERATION = 1
SHARED_IN_FRONT = 3


def run(ticket: int, mode: Mode, limit: int | None = None) -> Request:
    return Request(f"run-{ticket}", ticket, (Claim("prod-01", mode, limit),))


Line = Callable[[int], tuple[list[Request], list[Request]]]


def exclusive_line(length: int) -> tuple[list[Request], list[Request]]:
    return [run(1, Mode.EXCLUSIVE)], [run(2 + n, Mode.EXCLUSIVE) for n in range(length)]


def shared_behind_exclusive(length: int) -> tuple[list[Request], list[Request]]:
    held = [run(n, Mode.SHARED) for n in range(1, SHARED_IN_FRONT + 1)]
    waiting = [run(10 + n, Mode.SHARED) for n in range(length)]
    return held, [run(8, Mode.EXCLUSIVE), run(9, Mode.EXCLUSIVE), *waiting]


def full_house(length: int) -> tuple[list[Request], list[Request]]:
    held = [run(1, Mode.SHARED, limit=2), run(2, Mode.SHARED, limit=2)]
    return held, [run(10 + n, Mode.SHARED, limit=2) for n in range(length)]


def release_first(locks: MachineLocks) -> int:
    return len(locks.release(GENERATION, ["run-1"]))


def cancel_exclusive_behind_another(locks: MachineLocks) -> int:
    return len(locks.release(GENERATION, ["run-9"]))


def submit_at_the_tail(locks: MachineLocks) -> int:
    return len(locks.submit(GENERATION, [run(10**9, Mode.SHARED)]))


def submit_an_earlier_exclusive_and_release(locks: MachineLocks) -> int:
    arrived = locks.submit(GENERATION, [run(5, Mode.EXCLUSIVE)])
    return len(arrived) + len(locks.release(GENERATION, ["run-1"]))


@pytest.mark.parametrize(
    ("line", "operation", "granted"),
    [
        (exclusive_line, release_first, 1),
        (exclusive_line, submit_at_the_tail, 0),
        (shared_behind_exclusive, release_first, 0),
        (shared_behind_exclusive, cancel_exclusive_behind_another, 0),
        (full_house, release_first, 1),
        (full_house, submit_an_earlier_exclusive_and_release, 0),
    ],
)
def test_an_operation_takes_as_many_commands_with_ten_waiters_as_with_ten_thousand(
    line: Line, operation: Callable[[MachineLocks], int], granted: int, real_redis: Redis
) -> None:
    taken = []
    for length in (10, 10_000):
        locks = MachineLocks(real_redis, "locks")
        assert locks.rebuild(GENERATION, *line(length)) == []
        before = commands(real_redis)
        assert operation(locks) == granted
        taken.append(commands(real_redis) - before)

    assert taken[0] == taken[1]


def commands(client: Redis) -> int:
    """All commands that the server has carried out, those of scripts included."""
    stats = client.info("commandstats")
    return sum(int(stat["calls"]) for name, stat in stats.items() if name != "cmdstat_info")
