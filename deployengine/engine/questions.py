"""Questions: runs that ask a person, and what may be answered.

Three kinds of run ask: a manual step, which has nothing else to do; a failure in a deployment
whose failures are *guided*; and a run that has begun and is gone, and nobody recorded its end,
where its step says ``on_unknown: ask``. A run that asks holds no machine, resource or slot, and is
not counted off its step. Its deployment is paused. See :mod:`deployengine.engine.answers` for how
that ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from deployengine.domain.deployment import RunState
from deployengine.domain.identity import run_id
from deployengine.engine.requests import deployment_label, on_machine
from deployengine.engine.tickets import draw
from deployengine.persistence import Transaction
from deployengine.persistence.records import LEFT_OUT, DeploymentRecord, RunRecord


class Answer(StrEnum):
    """What a person says of a run that asks."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RERUN = "rerun"
    PROCEED = "proceed"
    ABORT = "abort"
    RETRY = "retry"
    IGNORE = "ignore"
    EXCLUDE = "exclude"
    FAIL = "fail"


class Asks(StrEnum):
    """What a run asks for."""

    END = "end"
    APPROVAL = "approval"
    GUIDANCE = "guidance"


#: What may be answered to each.
CHOICES: Mapping[Asks, tuple[Answer, ...]] = {
    Asks.END: (Answer.SUCCEEDED, Answer.FAILED, Answer.RERUN),
    Asks.APPROVAL: (Answer.PROCEED, Answer.ABORT),
    Asks.GUIDANCE: (Answer.RETRY, Answer.IGNORE, Answer.EXCLUDE, Answer.FAIL),
}


def asks_for(run: RunRecord) -> Asks:
    """What a run that asks wants to know."""
    if run.state is RunState.PENDING:
        return Asks.APPROVAL
    return Asks.END if run.state is RunState.UNKNOWN else Asks.GUIDANCE


@dataclass(frozen=True, slots=True)
class Question:
    """What a run asks, and how to answer it."""

    deployment: DeploymentRecord
    run: RunRecord
    step: str

    @property
    def label(self) -> str:
        """Whom it is about: "app-017 1.4.0 → Staging · Install on stg-2"."""
        return f"{deployment_label(self.deployment)} · {self.step}{on_machine(self.run)}"

    @property
    def asks(self) -> Asks:
        """What for."""
        return asks_for(self.run)

    @property
    def text(self) -> str:
        """The question itself."""
        name = run_id(self.run.id)
        match self.asks:
            case Asks.APPROVAL:
                return f"shall {name} proceed?"
            case Asks.GUIDANCE:
                return f"{name} failed: what now?"
            case Asks.END:
                return f"how did {name} end?"

    @property
    def command(self) -> str:
        """The command that answers it."""
        name = run_id(self.run.id)
        match self.asks:
            case Asks.APPROVAL:
                return f"deployengine approve {name} [--abort]"
            case Asks.GUIDANCE:
                return f"deployengine guide {name} {'|'.join(CHOICES[Asks.GUIDANCE])}"
            case Asks.END:
                return f"deployengine deployment answer {name} {'|'.join(CHOICES[Asks.END])}"


def withdraw(tx: Transaction, deployment_id: int, now: datetime) -> list[RunRecord]:
    """Closes every question of a deployment that is being cancelled; the runs that had asked.

    What ended stays as it ended, a manual step is cancelled. They are yet to be counted off their
    steps. Call with the deployment's row locked.
    """
    asking = tx.questions.asking([deployment_id])
    for run in asking:
        by_hand = run.state is RunState.PENDING
        said = after(run.message, "cancelled before anybody answered")
        tx.questions.answer(run.id, RunState.CANCELLED if by_hand else run.state, now, said)
    tx.deployments.unpause(deployment_id)
    return asking


def leave_out(tx: Transaction, deployment_id: int, machine: str, now: datetime) -> list[RunRecord]:
    """Closes every question of a machine that is left out; the runs that had asked.

    They stay as they ended, and do not count. They are yet to be counted off their steps. Call
    with the deployment's row locked.
    """
    asking = [run for run in tx.questions.asking([deployment_id]) if run.machine == machine]
    for run in asking:
        said = after(run.message, "its machine was left out before anybody answered")
        tx.questions.answer(run.id, run.state, now, said, LEFT_OUT)
    return asking


def go_on(tx: Transaction, deployment: DeploymentRecord) -> list[DeploymentRecord]:
    """Lets a deployment go on, if nothing of it asks any more; what lines up for its tag again.

    Call with its row locked.
    """
    if tx.questions.asking([deployment.id]) or tx.deployments.unpause_in_line(deployment.id):
        return []
    tx.deployments.line_up(deployment.id, draw(tx, deployment.priority).start)
    found = tx.deployments.get(deployment.id)
    return [found] if found is not None and found.ticket is not None else []


def after(message: str | None, said: str) -> str:
    """A run's message with this after it."""
    return f"{message}; {said}" if message else said
