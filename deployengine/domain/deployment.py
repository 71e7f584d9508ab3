"""The states of deployments, steps and step runs, and their lawful moves.

::

    deployment   queued ──> running ──> succeeded | failed | cancelled
                   │ ^       │   ^
                   │ │       v   │
                   │ └───── paused
                   └──────────────────────────────────> cancelled | superseded
    step         pending ──> open ──> done
    step run     pending ──> waiting ──> running ──> succeeded | failed | cancelled | unknown
                   │            │                       ^        ^                       │
                   │            │                       └────────┴─ answered by a person ┘
                   │            └──────────────────────────────────> cancelled
                   └──> skipped | cancelled | (a manual step, answered) succeeded | failed

A run that was claimed and whose machine cannot be used has begun nothing. Then it goes from
``running`` back to ``pending`` until the machine is back, or to ``skipped``, and its machine is
left out of the deployment (:mod:`deployengine.engine.absence`).

``granted`` is what a waiting step run is called from the moment admission lets it in until a
worker claims it: Redis knows it, the database still says ``waiting``.

``unknown`` is a run whose script began and is gone, and whose end nobody recorded. Such a run, one
that failed, and a manual step may ask a person (:mod:`deployengine.engine.questions`). Meanwhile
the deployment is ``paused``: what runs of it goes on, but the step does not end. It keeps its task
tag unless only manual steps are at work; then it stands aside, and is ``queued`` for its tag again
once everything is answered.

A deployment that may not begin yet (it is scheduled, or its environment is frozen) is ``queued``
without a place in line.
"""

from __future__ import annotations

from enum import StrEnum


class DeploymentState(StrEnum):
    """Where a deployment is."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        """Whether nothing can change any more."""
        return self not in (self.QUEUED, self.RUNNING, self.PAUSED)


class StepState(StrEnum):
    """Where a step of a deployment is; *done* says nothing of success, its runs do."""

    PENDING = "pending"
    OPEN = "open"
    DONE = "done"


class RunState(StrEnum):
    """Where a step run is: one attempt of one step on one machine."""

    PENDING = "pending"
    WAITING = "waiting"
    GRANTED = "granted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether nothing can change any more."""
        return self not in (self.PENDING, self.WAITING, self.GRANTED, self.RUNNING)


class ReleaseState(StrEnum):
    """How far a release has come, read off its deployments; *removed* is a batch without any."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"


_BY_WEIGHT = (
    (DeploymentState.RUNNING, ReleaseState.RUNNING),
    (DeploymentState.PAUSED, ReleaseState.RUNNING),
    (DeploymentState.QUEUED, ReleaseState.QUEUED),
    (DeploymentState.FAILED, ReleaseState.FAILED),
    (DeploymentState.CANCELLED, ReleaseState.CANCELLED),
    (DeploymentState.SUPERSEDED, ReleaseState.CANCELLED),
)


def release_state(latest: frozenset[DeploymentState] | set[DeploymentState]) -> ReleaseState:
    """The state of a release whose latest deployments, one per environment, are in these states."""
    if not latest:
        return ReleaseState.CREATED
    for deployment, state in _BY_WEIGHT:
        if deployment in latest:
            # Between two phases a release has succeeded and is queued: it is on its way.
            under_way = state is ReleaseState.QUEUED and DeploymentState.SUCCEEDED in latest
            return ReleaseState.RUNNING if under_way else state
    return ReleaseState.SUCCEEDED
