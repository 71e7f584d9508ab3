"""Questions: runs that ask a person how they ended, as their step says ``on_unknown: ask``.

Such a run has begun and is gone, and nobody recorded its end. It holds no machine, resource or
slot while it asks, and is not counted off its step. Its deployment is paused and keeps its task
tag. See :mod:`deployengine.engine.answers` for how that ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from deployengine.domain.deployment import RunState
from deployengine.domain.identity import run_id
from deployengine.engine.requests import deployment_label
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


class Answer(StrEnum):
    """What a person says of a run whose end is unknown."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RERUN = "rerun"


@dataclass(frozen=True, slots=True)
class Question:
    """What a run asks, and how to answer it."""

    deployment: DeploymentRecord
    run: RunRecord
    step: str

    @property
    def label(self) -> str:
        """Whom it is about: "app-017 1.4.0 → Staging · Install on stg-2"."""
        return f"{deployment_label(self.deployment)} · {self.step} on {self.run.machine}"

    @property
    def text(self) -> str:
        """The question itself."""
        return f"how did {run_id(self.run.id)} end?"

    @property
    def command(self) -> str:
        """The command that answers it."""
        return f"deployengine deployment answer {run_id(self.run.id)} {'|'.join(Answer)}"


def withdraw(tx: Transaction, deployment_id: int, now: datetime) -> list[RunRecord]:
    """Closes every question of a deployment that is being cancelled; the runs that had asked.

    They stay ``unknown``, since that is what is known of them, and are yet to be counted off
    their step. Call with the deployment's row locked.
    """
    asking = tx.runs.asking([deployment_id])
    for run in asking:
        said = after(run.message, "cancelled before anybody said how it ended")
        tx.runs.answer(run.id, RunState.UNKNOWN, now, said)
    tx.deployments.unpause(deployment_id)
    return asking


def after(message: str | None, said: str) -> str:
    """A run's message with this after it."""
    return f"{message}; {said}" if message else said
