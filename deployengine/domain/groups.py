"""Groups: what a plan says of a rolling group as a whole, by how many machines it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployengine.domain.plan import PlannedRun
from deployengine.domain.project import Step
from deployengine.domain.quota import at_least, at_most


def size(step: Step, planned: Iterable[tuple[Step, Sequence[PlannedRun]]]) -> int:
    """On how many machines the group of a step has something to do, unless something fails."""
    if step.rolling is None:
        return 0
    certain = (
        runs for other, runs in planned if other.rolling == step.rolling and not other.for_failures
    )
    return len({run.machine.name for runs in certain for run in runs})


def ramp(step: Step, machines: int) -> tuple[int, ...]:
    """The batches that a step's group begins with."""
    sizes = step.rolling.ramp if step.rolling else ()
    return tuple(at_least(size, machines) for size in sizes)


def max_failures(step: Step, machines: int) -> int | None:
    """How many machines of a step's group may fail; ``None``: any number."""
    said = step.rolling.max_failures if step.rolling else None
    return None if said is None else at_most(said, machines)
