"""Lanes: where the runs of a track are, machine by machine, as the rule of turns sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployengine.domain.deployment import RunState
from deployengine.domain.project import Step
from deployengine.domain.turns import At, Turn
from deployengine.persistence.records import LEFT_OUT, RunRecord


class Lanes:
    """The latest attempts of a track's runs.

    By machine, not by place: after a retry the children of a group need not have the same.
    """

    def __init__(self, runs: Iterable[RunRecord], process: Sequence[Step]) -> None:
        """``runs`` are in order of their steps and places."""
        self._process = process
        self._lanes: dict[int, list[RunRecord]] = {}
        numbers: dict[str, int] = {}
        for run in runs:
            number = numbers.setdefault(run.machine, len(numbers))
            self._lanes.setdefault(number, []).append(run)

    def __getitem__(self, at: At) -> RunRecord:
        place, index = at
        return self._lanes[place][index]

    @property
    def turns(self) -> dict[int, list[Turn]]:
        """Where the runs are."""
        return {place: [_turn(run) for run in lane] for place, lane in self._lanes.items()}

    @property
    def closing(self) -> frozenset[At]:
        """What ends the turn of a machine even if it is left out."""
        return frozenset(
            (place, index)
            for place, lane in self._lanes.items()
            for index, run in enumerate(lane)
            if self._process[run.step].closes
        )

    def closing_on(self, machine: str) -> list[int]:
        """The ids of the runs that do so on a machine whose turn has begun."""
        for lane in self._lanes.values():
            began = any(run.started_at is not None or run.attempt > 1 for run in lane)
            if began and lane[0].machine == machine:
                return [run.id for run in lane if self._process[run.step].closes]
        return []


def _turn(run: RunRecord) -> Turn:
    """Where a run is, as its lane sees it."""
    if run.asks or run.paused or run.state in _OPEN:
        return Turn.OPEN
    if run.state is RunState.PENDING:
        return Turn.PENDING
    if run.state is RunState.SKIPPED:
        return Turn.PASSED
    if run.answer == LEFT_OUT:
        return Turn.LEFT
    bad = run.state in _BAD and run.answer != "ignore"
    return Turn.BAD if bad else Turn.GOOD


_OPEN = (RunState.WAITING, RunState.RUNNING)
_BAD = (RunState.FAILED, RunState.UNKNOWN, RunState.CANCELLED)
