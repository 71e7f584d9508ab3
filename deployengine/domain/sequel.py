"""What follows when a run has ended: nothing, a further attempt, or a question to a person."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import takewhile

from deployengine.domain.deployment import RunState
from deployengine.domain.project import OnUnknown, Step

#: How often a run is begun again because its end is unknown, without a known end between. What
#: takes its machine down each time would otherwise do so for ever.
MOST_RERUNS = 3


class Sequel(StrEnum):
    """What follows the end of a run."""

    NOTHING = "nothing"
    AGAIN = "again"
    ASK = "ask"


def sequel(step: Step, ends: Sequence[RunState], *, over: bool, guided: bool = False) -> Sequel:
    """What follows the last of these ends, which are those of the machine's attempts at the step.

    ``retries`` counts attempts that failed, so an unknown end uses none of them up. Nothing
    follows where it is ``over``: in a deployment that is being cancelled, on a machine that was
    left out. In a deployment that is ``guided`` a person is asked before anything counts as failed.
    """
    if over:
        return Sequel.NOTHING
    if ends[-1] is RunState.FAILED and ends.count(RunState.FAILED) <= step.retries:
        return Sequel.AGAIN
    if ends[-1] is RunState.UNKNOWN and step.on_unknown is OnUnknown.ASK:
        return Sequel.ASK
    if ends[-1] is RunState.UNKNOWN and step.on_unknown is OnUnknown.RERUN:
        in_a_row = takewhile(lambda end: end is RunState.UNKNOWN, reversed(ends))
        if sum(1 for _ in in_a_row) <= MOST_RERUNS:
            return Sequel.AGAIN
    bad = ends[-1] in (RunState.FAILED, RunState.UNKNOWN)
    return Sequel.ASK if guided and bad else Sequel.NOTHING


def pause(step: Step, ends: Sequence[RunState]) -> float:
    """Seconds before the attempt that follows these ends: doubled for each that failed."""
    failed = ends.count(RunState.FAILED)
    return step.backoff_seconds * 2 ** (failed - 1) if failed else 0.0
