"""Answering: each question is answered once, with words that fit it."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from battery.answering import Answering
from battery.house import House


class People:
    """Notes what is answered, at once, and hears of these questions."""

    def __init__(self, *rows: tuple[int, str]) -> None:
        self.said: list[tuple[str, ...]] = []
        house = SimpleNamespace(database=SimpleNamespace(rows=lambda _query: rows))
        self._answering = Answering(cast(House, house), random.Random(1), self._say, thinking=0.0)

    def _say(self, *words: str, refusals: Any) -> None:
        assert refusals
        self.said.append(words)

    def look(self) -> None:
        self._answering.tend()


@pytest.mark.parametrize(
    ("state", "words"),
    [("pending", ("approve", "run-7")), ("failed", ("guide", "run-7"))],
)
def test_a_question_is_answered_by_what_it_is_about(state: str, words: tuple[str, ...]) -> None:
    people = People((7, state))

    people.look()

    (said,) = people.said
    assert said[:2] == words


def test_a_run_whose_end_nobody_knows_is_told_how_it_ended() -> None:
    people = People((7, "unknown"))

    people.look()

    (said,) = people.said
    assert said[:3] == ("deployment", "answer", "run-7")
    assert said[3] in ("succeeded", "failed", "rerun")


def test_a_question_is_answered_once() -> None:
    people = People((7, "pending"), (8, "failed"))

    people.look()
    people.look()

    assert sorted(words[1] for words in people.said) == ["run-7", "run-8"]


def test_manual_steps_are_mostly_agreed_to_and_sometimes_not() -> None:
    people = People(*((number, "pending") for number in range(100)))

    people.look()

    aborted = sum("--abort" in words for words in people.said)
    assert 0 < aborted < 50
