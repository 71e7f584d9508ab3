"""The parts of a report; all spans in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployengine.domain.bounds import Bound
from deployengine.domain.deployment import DeploymentState, ReleaseState, RunState
from deployengine.domain.report_facts import DeploymentFacts, RunFacts


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds waited, summed: for machines, for task tags, for a slot under the task cap."""

    machine_seconds: float
    tag_seconds: float
    task_cap_seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed or was lost, or (``run`` is ``None``) a deployment that failed without one.

    ``recovered``: a later attempt succeeded.
    """

    deployment: DeploymentFacts
    run: RunFacts | None
    recovered: bool

    @property
    def message(self) -> str | None:
        """What was said about it."""
        return self.deployment.message if self.run is None else self.run.message


@dataclass(frozen=True, slots=True)
class EnvironmentSummary:
    """What happened in one environment; ``runs`` counts attempts that began and ended."""

    environment: str
    deployments: int
    machines: int
    runs: int
    failed: int
    running_seconds: float
    waits: Waits


@dataclass(frozen=True, slots=True)
class Counts:
    """How many are in each state; states that none is in are left out."""

    releases: Mapping[ReleaseState, int]
    deployments: Mapping[DeploymentState, int]
    runs: Mapping[RunState, int]


@dataclass(frozen=True, slots=True)
class Report:
    """A batch's report, with the facts that it was drawn from.

    ``ratio``: makespan over lower bound; ``utilisation``: share of the task cap's slots that ran
    scripts. Both ``None`` where there is nothing to divide by.
    """

    name: str
    task_cap: int | None
    makespan_seconds: float
    bound: Bound | None
    ratio: float | None
    waits: Waits
    running_seconds: float
    utilisation: float | None
    counts: Counts
    slowest: tuple[RunFacts, ...]
    failures: tuple[Failure, ...]
    environments: tuple[EnvironmentSummary, ...]
    runs: tuple[RunFacts, ...]
    deployments: tuple[DeploymentFacts, ...]

    @property
    def lower_bound_seconds(self) -> float:
        """No lawful schedule of the same runs takes less; 0 when nothing ran."""
        return self.bound.seconds if self.bound else 0.0
