"""A crew: many at once, no more than there is room for, and who hangs holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

from deployengine.engine.crew import Crew, Report

LONG = 30.0


def all_reports(crew: Crew[str], patience: float = LONG) -> list[Report[str]]:
    found: list[Report[str]] = []
    while crew.busy:
        found += crew.reports(patience)
    return sorted(found, key=lambda report: report[0])


def gated(gates: dict[str, threading.Event]) -> Callable[[str], str]:
    def act(name: str) -> str:
        if name in gates:
            assert gates[name].wait(LONG)
        return name.upper()

    return act


def test_everybody_reports_what_came_of_it() -> None:
    def act(name: str) -> str:
        if name == "b":
            raise ValueError("no")
        return name.upper()

    crew = Crew(act, 3, LONG)
    assert [crew.begin(name) for name in "abc"] == [True, True, True]
    a, b, c = all_reports(crew)
    assert (a, c) == (("a", "A"), ("c", "C"))
    assert isinstance(b[1], ValueError)


def test_no_more_are_at_work_than_there_is_room_for_and_nobody_twice() -> None:
    gates = {name: threading.Event() for name in "ab"}
    crew = Crew(gated(gates), 2, LONG)
    assert [crew.begin(name) for name in "aabc"] == [True, False, True, False]
    gates["a"].set()
    assert crew.reports(LONG) == [("a", "A")]
    assert crew.begin("c")
    gates["b"].set()
    assert all_reports(crew) == [("b", "B"), ("c", "C")]


def test_who_hangs_is_told_gives_up_the_place_and_is_not_begun_again() -> None:
    gates = {"a": threading.Event()}
    crew = Crew(gated(gates), 1, 0.05)
    assert crew.begin("a")
    assert not crew.begin("b")
    assert crew.reports(LONG) == [("a", None)]
    assert (crew.busy, crew.begin("a"), crew.begin("b")) == (False, False, True)
    gates["a"].set()
    found = []
    while len(found) < 2:
        found += crew.reports(LONG)
    assert sorted(found) == [("a", "A"), ("b", "B")]
    assert crew.begin("a")
    assert all_reports(crew) == [("a", "A")]


def test_who_looks_before_anything_has_come_waits_no_longer_than_wanted() -> None:
    gates = {"a": threading.Event()}
    crew = Crew(gated(gates), 1, LONG)
    crew.begin("a")
    assert crew.reports(0.0) == []
    gates["a"].set()
    assert all_reports(crew) == [("a", "A")]
