"""What a report is drawn from: step runs and deployments, each with the instants of its life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployengine.domain.deployment import DeploymentState, RunState


def span(begin: datetime | None, end: datetime | None) -> float:
    """Seconds from one to the other; 0 when either is open or the clocks disagree."""
    if begin is None or end is None:
        return 0.0
    return max((end - begin).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A step run as it stands; instants in UTC, ``None`` where it has not come so far.

    ``run`` and ``deployment`` are ids ("run-12", "dep-3"); ``last_lines`` the end of its output;
    ``asks`` is true while it asks a person how it ended.
    """

    run: str
    deployment: str
    project: str
    version: str
    environment: str
    step: str
    machine: str
    attempt: int
    state: RunState
    lock_mode: str
    ready_at: datetime | None = None
    granted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    message: str | None = None
    asks: bool = False
    last_lines: tuple[str, ...] = ()

    @property
    def ended_badly(self) -> bool:
        """Whether it failed, or nobody knows how it ended and nobody is asked."""
        return self.state in (RunState.FAILED, RunState.UNKNOWN) and not self.asks

    @property
    def machine_seconds(self) -> float:
        """How long it waited for its machine and what its step touches."""
        return span(self.ready_at, self.granted_at)

    @property
    def task_cap_seconds(self) -> float:
        """How long it waited for a slot after it had been granted its machine."""
        return span(self.granted_at, self.started_at)

    @property
    def running_seconds(self) -> float:
        """How long it ran, once it has ended."""
        return span(self.started_at, self.finished_at)

    @property
    def ran(self) -> bool:
        """Whether it began and ended, rather than being skipped or cancelled in the queue."""
        return self.started_at is not None and self.finished_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFacts:
    """A deployment as it stands; ``started_at`` is when it was given its task tag."""

    id: str
    project: str
    version: str
    environment: str
    state: DeploymentState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None

    @property
    def tag_seconds(self) -> float:
        """How long it waited for its task tag."""
        return span(self.created_at, self.started_at)
