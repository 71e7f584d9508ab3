"""Answering: people who say, a little later, what a run that asks wants to know."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from battery.house import House

#: Runs that ask, and their state, which tells what for.
ASKED = """
select id, state from step_run where asked_at is not null and answered_at is null order by id
"""
#: Seconds for which people think at most.
THINKING = 1.0

Ask = Callable[..., object]


class Answering:
    """Answers each question once, after at most so many seconds; ``ask`` gives the command."""

    def __init__(
        self, house: House, dice: random.Random, ask: Ask, thinking: float = THINKING
    ) -> None:
        self._house = house
        self._dice = dice
        self._ask = ask
        self._thinking = thinking
        self._due: dict[int, float] = {}
        self._answered: set[int] = set()

    def tend(self) -> None:
        """Answers what was asked long enough ago."""
        now = time.monotonic()
        for number, state in self._house.database.rows(ASKED):
            due = self._due.setdefault(number, now + self._dice.uniform(0.0, self._thinking))
            if number not in self._answered and due <= now:
                self._answered.add(number)
                self._answer(f"run-{number}", state)

    def _answer(self, run: str, state: str) -> None:
        refusals = (f"{run} was answered before and is ", f"{run} asks nothing: it is ")
        self._ask(*self._words(run, state), refusals=refusals)

    def _words(self, run: str, state: str) -> Sequence[str]:
        """A run that has not begun is a manual step; one that failed wants guidance."""
        if state == "pending":
            return ("approve", run, *(["--abort"] if self._dice.random() < 0.1 else []))
        if state == "failed":
            return (
                "guide",
                run,
                self._dice.choice(("retry", "retry", "ignore", "exclude", "fail")),
            )
        return ("deployment", "answer", run, self._dice.choice(("succeeded", "failed", "rerun")))
