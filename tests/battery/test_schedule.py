"""Schedules: the same seed gives the same faults at the same times."""

from __future__ import annotations

from battery import hunts
from battery.schedule import KINDS, Planned, drawn
from deployengine import failpoints


def told(schedule: list[Planned]) -> list[tuple[float, str, float]]:
    return [(planned.at, planned.fault.kind, planned.fault.seconds) for planned in schedule]


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert told(drawn("7", 60, 0.5, 1.5)) == told(drawn("7", 60, 0.5, 1.5))


def test_another_seed_gives_another_schedule() -> None:
    assert told(drawn("7", 60, 0.5, 1.5)) != told(drawn("8", 60, 0.5, 1.5))


def test_every_kind_of_fault_comes_at_least_once() -> None:
    kinds = {planned.fault.kind for planned in drawn("7", len(KINDS), 0.5, 1.5)}

    assert kinds == {kind.kind for kind, _ in KINDS}


def test_faults_come_in_the_order_of_their_times() -> None:
    times = [planned.at for planned in drawn("7", 60, 0.5, 1.5)]

    assert times == sorted(times)


def test_every_hunt_is_for_branches_that_the_engine_has() -> None:
    assert frozenset().union(*(hunt.branches for hunt in hunts.HUNTS)) <= failpoints.BRANCHES.keys()
