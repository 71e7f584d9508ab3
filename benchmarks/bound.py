"""The lower bound: how soon any schedule of the scenario could end, from nominal lengths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.scenario import STAGES, Scenario


@dataclass(frozen=True, slots=True)
class Bound:
    """A lower bound in seconds, and what it comes from."""

    seconds: float
    limit: str


def lower_bound(scenario: Scenario, task_cap: int) -> Bound:
    """The greatest of: all work ÷ task cap, each release's way, each machine's work.

    A machine's exclusive runs pass one by one; of shared ones, which may all overlap, the longest
    counts. None of them starts before the shortest way before, and after the last of them the
    shortest way after is still to go; a way is the longest script of each stage on it.
    """
    return max(_bounds(scenario, task_cap), key=lambda bound: bound.seconds)


def _bounds(scenario: Scenario, task_cap: int) -> Iterator[Bound]:
    yield Bound(sum(scenario.seconds.values()) / task_cap, "task cap")
    ways = {project: _stage_lengths(scenario, project) for project in scenario.projects}
    for project, way in ways.items():
        yield Bound(sum(way.values()), f"release of {project}")
    for place, (stage, machines) in enumerate(STAGES.items()):
        before = {p: sum(list(way.values())[:place]) for p, way in ways.items()}
        after = {p: sum(list(way.values())[place + 1 :]) for p, way in ways.items()}
        for machine in machines:
            for present in _one_by_one(scenario, machine):
                work = sum(scenario.seconds[p, machine] for p in present)
                ends = min(before[p] for p in present) + min(after[p] for p in present)
                yield Bound(work + ends, f"machine {machine} in {stage}")


def _stage_lengths(scenario: Scenario, project: str) -> Mapping[str, float]:
    return {
        stage: max(scenario.seconds[project, machine] for machine in machines)
        for stage, machines in STAGES.items()
    }


def _one_by_one(scenario: Scenario, machine: str) -> Iterator[list[str]]:
    """Sets of projects of which no two may overlap on the machine."""
    alone = [p for p in scenario.projects if p not in scenario.sharing]
    if alone:
        yield alone
    if scenario.sharing:
        # By name where lengths are equal: a set has no order that stays.
        shared = sorted(scenario.sharing)
        yield [*alone, max(shared, key=lambda p: scenario.seconds[p, machine])]
