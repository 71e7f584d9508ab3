"""What the repositories hand out: frozen rows that know nothing of where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.selection import Selection


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A release without its snapshot; ``blocked_at``: somebody keeps it from going further."""

    id: int
    project: str
    version: str
    channel: str | None
    digest: str
    snapshot_id: int
    created_at: datetime
    blocked_at: datetime | None
    blocked_by: str | None
    blocked_reason: str | None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A named set of releases; ``digest`` is that of its rows."""

    id: int
    name: str
    digest: str
    created_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """A deployment without its plan."""

    id: int
    release_id: int
    snapshot_id: int
    project: str
    version: str
    environment: str
    phase: str
    automatic: bool
    state: DeploymentState
    ticket: int | None
    tag: str
    holds: Sequence[tuple[str, str, int | None]] | None
    message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    priority: int
    guided: bool
    requested_by: str | None
    partial: bool
    options: Mapping[str, Any] | None
    not_before: datetime | None
    expires_at: datetime | None
    frozen_by: str | None

    @property
    def without(self) -> Mapping[str, str]:
        """The machines that it was planned without, each with what people wanted of it then."""
        machines: Mapping[str, str] = (self.options or {}).get("without", {})
        return machines

    @property
    def catches_up(self) -> bool:
        """Whether it brings machines what is there already, as they were left out before."""
        return bool(self.options and "catches_up" in self.options)

    @property
    def selection(self) -> Selection:
        """Which part of the process it carries out, and where."""
        return Selection.from_document((self.options or {}).get("selection", {}))

    @property
    def carries_on(self) -> Sequence[int]:
        """The deployments of which it is the retry, the oldest first."""
        numbers: Sequence[int] = (self.options or {}).get("carries_on", ())
        return numbers

    @property
    def rolls_back(self) -> bool:
        """Whether it goes back to what was there before, from what came then."""
        return bool(self.options and "rolls_back" in self.options)

    @property
    def overrides_freezes(self) -> bool:
        """Whether it begins although there is a freeze."""
        return bool(self.options and "override_freeze" in self.options)


@dataclass(frozen=True, slots=True)
class Trace:
    """What is told of a deployment that goes."""

    id: int
    release_id: int
    project: str
    version: str
    environment: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a deployment and how many of its runs have not ended."""

    deployment_id: int
    position: int
    name: str
    state: StepState
    open_runs: int


#: The answer after which nothing more runs on a run's machine.
LEFT_OUT = "exclude"
#: Why what was still to come there is skipped.
WHY_LEFT_OUT = "its machine was left out"
#: The answer after which a failure counts as none.
IGNORED = "ignore"
#: Answers after which a run that ended badly does not count.
FORGIVEN = (IGNORED, LEFT_OUT)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A step run: one attempt of one step on one machine."""

    id: int
    deployment_id: int
    step: int
    place: int
    machine: str
    attempt: int
    state: RunState
    lock_mode: str
    ticket: int | None
    fence: int | None
    revoked: Sequence[int] | None
    worker: str | None
    ready_at: datetime | None
    granted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    asked_at: datetime | None
    answered_at: datetime | None
    answer: str | None
    recalled: Sequence[str] | None
    not_before: datetime | None
    awaits_machine: str | None
    seen_anywhere: bool
    exit_code: int | None
    message: str | None
    outputs: Mapping[str, str | dict[str, str]] | None

    @property
    def asks(self) -> bool:
        """Whether it asks a person, and nobody has answered."""
        return self.asked_at is not None and self.answered_at is None

    @property
    def paused(self) -> bool:
        """Whether its turn has come, and it waits for an instant or for a machine to be back."""
        awaits = self.not_before is not None or self.awaits_machine is not None
        return self.state is RunState.PENDING and awaits

    def void(self, granted_at: datetime) -> bool:
        """Whether the grant of this moment was taken back."""
        return granted_at.isoformat() in (self.recalled or ())

    @property
    def left_out(self) -> bool:
        """Whether it was to run, and its machine was left out of the deployment."""
        skipped = self.state is RunState.SKIPPED and self.message == WHY_LEFT_OUT
        return skipped or self.answer == LEFT_OUT

    @property
    def forgiven(self) -> bool:
        """Whether it ended badly, and the deployment was to go on without it."""
        return self.answer in FORGIVEN


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process, when it was last heard of, and whether it stopped or was lost."""

    name: str
    task_cap: int
    started_at: datetime
    seen_at: datetime
    left_at: datetime | None
    beat: int
    lost_at: datetime | None
    place: str | None


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """How a machine was found, and what people want of it.

    ``since`` is when it was first found so, ``due_at`` when somebody is to look again.
    """

    machine: str
    state: Health = Health.UNKNOWN
    since: datetime | None = None
    checked_at: datetime | None = None
    message: str | None = None
    facts: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    mode: MachineMode = MachineMode.ENABLED
    reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A host key of a machine that somebody has looked at and trusts."""

    machine: str
    fingerprint: str
    algorithm: str
    public_key: str
    trusted_at: datetime
    trusted_by: str


#: Why a machine is without a deployment that was to bring it what it had missed.
CATCH_UP_FAILED = "catch-up failed"


@dataclass(frozen=True, slots=True)
class AbsenceRecord:
    """A deployment that goes without a machine which belongs to it, and why; how it is by now."""

    machine: str
    deployment_id: int
    why: str
    at: datetime
    project: str
    version: str
    environment: str
    state: DeploymentState


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """What is stored when a deployment is requested."""

    release_id: int
    snapshot_id: int
    project: str
    version: str
    environment: str
    phase: str
    automatic: bool
    plan: Mapping[str, Any]
    priority: int = 0
    guided: bool = False
    requested_by: str | None = None
    partial: bool = False
    options: Mapping[str, Any] | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    frozen_by: str | None = None


def release_record(row: Any) -> ReleaseRecord:
    """A row of the columns that a release's record has."""
    return ReleaseRecord(**row._asdict())


def run_record(row: Row[Any]) -> RunRecord:
    """A row of the table of step runs."""
    values = row._asdict()
    values["state"] = RunState(values["state"])
    return RunRecord(**values)
