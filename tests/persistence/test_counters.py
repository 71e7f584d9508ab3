"""Numbers: no two callers ever get the same one."""

from __future__ import annotations

import pytest

from deployengine.persistence import Database
from deployengine.persistence.counters import FENCE, GENERATION, TICKET
from tests.persistence.conftest import Interrupted, at_once, interrupt

CALLERS = 8
DRAWS = 10


def test_numbers_begin_at_one_and_go_up_by_one(database: Database) -> None:
    with database.write() as tx:
        assert [tx.counters.draw(TICKET) for _ in range(3)] == [1, 2, 3]


def test_several_numbers_at_once_are_consecutive_and_nobody_elses(database: Database) -> None:
    with database.write() as tx:
        assert tx.counters.draw(TICKET, 5) == 1
        assert tx.counters.draw(TICKET) == 6
        assert tx.counters.value(TICKET) == 6


def test_each_counter_counts_for_itself(database: Database) -> None:
    with database.write() as tx:
        tx.counters.draw(TICKET, 9)
        assert (tx.counters.draw(FENCE), tx.counters.draw(GENERATION)) == (1, 1)


def test_no_number_is_given_twice_among_threads_and_connections(database: Database) -> None:
    other = Database(database.url)  # as another process has it: no lock of ours in common
    pool = [database, other]

    def draw_some() -> list[int]:
        mine = pool.pop() if pool else database
        numbers = []
        for _ in range(DRAWS):
            with mine.write() as tx:
                numbers.append(tx.counters.draw(TICKET))
        return numbers

    drawn = [number for numbers in at_once(CALLERS, draw_some) for number in numbers]
    assert sorted(drawn) == list(range(1, CALLERS * DRAWS + 1))
    other.close()


def test_a_transaction_that_fails_gives_its_numbers_back(database: Database) -> None:
    with pytest.raises(Interrupted), database.write() as tx:
        interrupt(tx.counters.draw(TICKET, 4))
    with database.write() as tx:
        assert tx.counters.draw(TICKET) == 1
