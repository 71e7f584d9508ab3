"""One loader: of all who find the locks empty, few load them, and the others wait and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import pytest
from redis import Redis

from deployengine.domain.admission import Request
from deployengine.engine.handoff import STANDS_STILL, standing
from deployengine.locks import MachineLocks
from deployengine.locks.keys import Keys
from deployengine.locks.scripts import Refused, Scripts, operands
from deployengine.persistence.counters import GENERATION
from deployengine.services import LOCKS_PREFIX
from tests.acceptance.catalogs import catalog, project
from tests.persistence.conftest import at_once
from tests.support.fakes import House

PROJECTS = tuple(f"app-{number}" for number in range(20))


class WatchedLocks(MachineLocks):
    """Tells of every look whether somebody is loading them."""

    def __init__(self, client: Redis, prefix: str, told: Callable[[int], None]) -> None:
        super().__init__(client, prefix)
        self._told = told
        self.looks = 0

    def loading(self) -> tuple[str, int] | None:
        self._told(self.looks)
        self.looks += 1
        return super().loading()


class AskingHouse(House):
    """A process that asks for something; between two looks at the locks a test does something."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        self.between_looks: Callable[[int], None] = lambda looks: None

    @cached_property
    def locks(self) -> WatchedLocks:
        return WatchedLocks(self.redis, LOCKS_PREFIX, lambda looks: self.between_looks(looks))


class Loader:
    """Another process that loads the locks, piece by piece as a test lets it."""

    def __init__(self, house: House) -> None:
        self._keys = Keys(LOCKS_PREFIX)
        self._scripts = Scripts(house.redis, self._keys)
        with house.database.write() as tx:
            self.generation = tx.counters.draw(GENERATION)
        with house.database.read() as tx:
            _, waiting = standing(tx, house.archive)
        self._pieces = iter(sorted(waiting, key=lambda request: request.ticket))
        self._token = f"{self.generation}:loader"
        assert self._scripts.rebuild("begin", self.generation, self._token)[0] == "ok"

    def load(self, request: Request | None = None) -> bool:
        """One request more; whether it was taken."""
        part = operands([request or next(self._pieces)])
        step = self._scripts.admission(self._keys.rebuild, self._token, "submit", 100, part)
        return not isinstance(step, Refused)

    def finish(self) -> str:
        """Loads the rest, and opens the locks; what came of it."""
        for request in self._pieces:
            self.load(request)
        return self._scripts.rebuild("finish", self.generation, self._token)[0]


def drawn(house: House) -> int:
    """How many generations there have been."""
    with house.database.read() as tx:
        return tx.counters.value(GENERATION)


@pytest.fixture
def asking(house: House) -> Iterator[AskingHouse]:
    """Such a process; twenty deployments wait, and one more may be asked for."""
    house.apply(catalog(*(project(name, "true\n") for name in (*PROJECTS, "new"))))
    for name in PROJECTS:
        house.create(name)
    house.dispatcher.lose()
    key = house.settings.master_key
    with AskingHouse(house.settings.home, house.redis, house.clock, master_key=key) as asking:
        yield asking


def assert_all_are_let_in(house: House, *projects: str) -> None:
    """Each has its task tag, and what holds the locks is what the database says."""
    assert set(house.held()) == {f"tag:{name}/QA" for name in projects}
    assert house.locks.counts().requests == len(projects)


# ---- while somebody loads them ----


def test_who_finds_the_locks_being_loaded_waits_and_then_does_what_was_asked(
    house: House, asking: AskingHouse
) -> None:
    house.redis.flushall()
    loader = Loader(house)

    def go_on(looks: int) -> None:
        if looks < STANDS_STILL + 3:
            assert loader.load()
        elif house.locks.loading():
            assert loader.finish() == "ok"

    asking.between_looks = go_on
    asking.create("new")
    assert asking.locks.generation() == loader.generation == drawn(house), "nobody began anew"
    assert asking.locks.looks > STANDS_STILL, "it is progress that counts, and not how long"
    assert_all_are_let_in(house, *PROJECTS, "new")
    assert len(asking.dispatcher.take_chains()) == 1


def test_what_was_asked_is_done_once_although_it_had_to_wait(
    house: House, asking: AskingHouse
) -> None:
    number = asking.create("new").id
    asking.dispatcher.lose()
    house.redis.flushall()
    loader = Loader(house)
    asking.between_looks = lambda looks: None if looks < 2 else finish(house, loader)
    asking.handoff.exchange(leaving=[f"dep-{number}"])
    assert asking.locks.generation() == loader.generation == drawn(house)
    assert_all_are_let_in(house, *PROJECTS)
    assert asking.dispatcher.quiet


def finish(house: House, loader: Loader) -> None:
    """The loader comes to its end, if it has not yet."""
    if house.locks.loading():
        assert loader.finish() == "ok"


@pytest.mark.parametrize("pieces", [0, 3])
def test_a_loader_that_stands_still_is_superseded(
    house: House, asking: AskingHouse, pieces: int
) -> None:
    house.redis.flushall()
    loader = Loader(house)
    asking.between_looks = lambda looks: None if looks >= pieces else assert_taken(loader)
    asking.create("new")
    assert asking.locks.looks >= pieces + STANDS_STILL
    assert asking.locks.generation() == loader.generation + 1 == drawn(house)
    assert not loader.load(), "it comes too late"
    assert loader.finish() == "superseded"
    assert_all_are_let_in(house, *PROJECTS, "new")


def assert_taken(loader: Loader) -> None:
    assert loader.load()


def test_a_loader_that_gives_up_is_followed_by_whoever_waits(
    house: House, asking: AskingHouse
) -> None:
    house.redis.flushall()
    loader = Loader(house)

    def emptied_again(looks: int) -> None:
        if looks == 2:
            house.redis.flushall()

    asking.between_looks = emptied_again
    asking.create("new")
    assert asking.locks.looks < STANDS_STILL, "nobody is waited for who is not at it"
    assert asking.locks.generation() == loader.generation + 1 == drawn(house)
    assert loader.finish() == "superseded"
    assert_all_are_let_in(house, *PROJECTS, "new")


# ---- when many find them empty at once ----


MOST_LOADERS = 3


def test_of_many_processes_that_find_them_empty_at_once_few_load_them(
    house: House, asking: AskingHouse
) -> None:
    houses = [house.neighbour() for _ in range(8)]
    for each in houses:  # each has connected, and knows the generation
        each.handoff.advance()
    waiting = list(zip(houses, PROJECTS, strict=False))
    before = drawn(house)
    house.redis.flushall()

    def leave() -> None:
        each, name = waiting.pop()
        each.handoff.exchange(leaving=[f"dep-{PROJECTS.index(name) + 1}"])

    at_once(len(houses), leave)
    assert drawn(house) - before <= MOST_LOADERS
    assert house.locks.generation() == drawn(house)
    for each in houses:
        each.close()


def test_of_many_threads_of_one_process_that_find_them_empty_at_once_one_loads_them(
    house: House, asking: AskingHouse
) -> None:
    before = drawn(house)
    house.redis.flushall()
    at_once(8, lambda: asking.handoff.exchange(leaving=["dep-1"]))
    assert drawn(house) == before + 1
    assert house.locks.generation() == drawn(house)
