"""Slots: the task cap bounds what is begun; what runs already has room beside it and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from deployengine.engine.slots import Slots

PATIENCE = 20.0
#: Seconds in which what must not come does not come.
A_WHILE = 0.1


class Script:
    """Something that takes a slot in a thread of its own and stays until it is let go."""

    def __init__(
        self, pool: ThreadPoolExecutor, take: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.inside = threading.Event()
        self.go = threading.Event()
        self._done: Future[None] = pool.submit(self._stay, take)

    def _stay(self, take: Callable[[], AbstractContextManager[None]]) -> None:
        with take():
            self.inside.set()
            assert self.go.wait(PATIENCE)

    def await_inside(self) -> None:
        assert self.inside.wait(PATIENCE), "there was no slot"

    def end(self) -> None:
        self.go.set()
        self._done.result(PATIENCE)


def test_no_more_is_begun_at_once_than_the_cap_and_who_waits_comes_when_one_has_ended() -> None:
    slots = Slots(2)
    with ThreadPoolExecutor(3) as pool:
        scripts = [Script(pool, slots.one) for _ in range(2)]
        for script in scripts:
            script.await_inside()
        third = Script(pool, slots.one)
        assert not third.inside.wait(A_WHILE)
        scripts[0].end()
        third.await_inside()
        scripts[1].end()
        third.end()


def test_what_runs_already_has_room_at_once_and_nothing_new_is_begun_before_it_made_room() -> None:
    slots = Slots(1)
    with ThreadPoolExecutor(4) as pool:
        own = Script(pool, slots.one)
        own.await_inside()
        taken_over = [Script(pool, slots.besides) for _ in range(2)]
        for script in taken_over:
            script.await_inside()
        new = Script(pool, slots.one)
        own.end()
        assert not new.inside.wait(A_WHILE)
        taken_over[0].end()
        assert not new.inside.wait(A_WHILE)
        taken_over[1].end()
        new.await_inside()
        new.end()


@pytest.mark.parametrize("kind", ["one", "besides"])
def test_a_slot_is_given_back_by_what_fails(kind: str) -> None:
    slots = Slots(1)
    take: Callable[[], AbstractContextManager[None]] = getattr(slots, kind)
    for _ in range(3):
        with pytest.raises(RuntimeError), take():
            raise RuntimeError
    with slots.one():
        pass
