"""Answers: what a person says of a run that asks, and what comes of it."""

from __future__ import annotations

import logging
from datetime import datetime

from deployengine.domain.audit import Action
from deployengine.domain.deployment import RunState
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.plan import Plan
from deployengine.domain.planning import Unseal
from deployengine.domain.release import Snapshot
from deployengine.engine.archive import Archive
from deployengine.engine.attempts import again
from deployengine.engine.audit import record
from deployengine.engine.handoff import HandOff
from deployengine.engine.moved import Moved
from deployengine.engine.ports import Clock
from deployengine.engine.questions import CHOICES, Answer, after, asks_for, go_on
from deployengine.engine.requests import run_label
from deployengine.engine.turns import Turns
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord

log = logging.getLogger("deployengine.answers")

_STATES = {
    Answer.SUCCEEDED: RunState.SUCCEEDED,
    Answer.FAILED: RunState.FAILED,
    Answer.RERUN: RunState.UNKNOWN,
    Answer.PROCEED: RunState.SUCCEEDED,
    Answer.ABORT: RunState.FAILED,
}
_AGAIN = (Answer.RERUN, Answer.RETRY)


class NothingAsked(RequestError):
    """The run asks nothing, or not any more, or something else."""


class NotResponsible(RequestError):
    """The step names those who may answer, and this is somebody else."""


class Overtaken(RequestError):
    """Nobody asked for this deployment, and a newer one has begun there while it waited."""


class Answers:
    """Takes answers; of several to one question the first one counts."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def answer(
        self,
        number: int,
        answer: Answer,
        who: str,
        note: str = "",
        *,
        over_newer: bool = False,
    ) -> RunRecord:
        """Closes the run's question.

        ``who`` and ``note`` become part of the run's message. The deployment goes on once no run
        of it asks any more: one that has given up its task tag meanwhile waits for that first.
        Raises :class:`UnknownName`, :class:`NothingAsked`, :class:`NotResponsible`, and
        :class:`Overtaken` unless an older release may go ``over_newer``.
        """
        said = f"{who} answered {answer}" + (f": {note}" if (note := _one_line(note)) else "")
        with self._database.write("answer") as tx:
            deployment, run = _asking(tx, number)
            if answer not in (choices := CHOICES[asks_for(run)]):
                raise NothingAsked(f"{run_id(number)} asks for: {' or '.join(choices)}")
            plan = self._archive.plan(tx, deployment.id)
            snapshot = self._archive.snapshot(tx, deployment.snapshot_id)
            step = snapshot.process[run.step]
            if step.responsible and who not in step.responsible:
                raise NotResponsible(
                    f"{run_id(number)} may be answered by {' or '.join(step.responsible)}, "
                    f"not by {who}"
                )
            if answer is Answer.PROCEED and not over_newer:
                _check_not_overtaken(tx, deployment)
            now = self._clock.now()
            state = _STATES.get(answer, run.state)
            tx.questions.answer(number, state, now, after(run.message, said), answer)
            moved = self._move(tx, deployment, plan, snapshot, run, answer, now)
            moved.lining_up = go_on(tx, deployment)
            answered = tx.runs.get(number)
            assert answered is not None
            subject, action = run_id(number), Action(f"answer.{answer}")
            before = {"state": run.state}
            after_ = {"state": answered.state, "deployment": deployment_id(deployment.id)}
            record(tx, now, who, action, subject, reason=note, before=before, after=after_)
        log.info("%s: %s", run_label(deployment, plan, run), said)
        with self._handoff.or_later(f"the answer for {run_id(number)}"):
            self._handoff.follow(deployment, plan, moved)
        return answered

    def _move(
        self,
        tx: Transaction,
        deployment: DeploymentRecord,
        plan: Plan,
        snapshot: Snapshot,
        run: RunRecord,
        answer: Answer,
        now: datetime,
    ) -> Moved:
        if answer in _AGAIN:
            step = snapshot.process[run.step]
            return Moved(again(tx, deployment, plan, step, run, now, at_once=True))
        turns = Turns(tx, deployment, plan, snapshot, self._unseal, now)
        return turns.close(run, leave_out=answer is Answer.EXCLUDE)


def _asking(tx: Transaction, number: int) -> tuple[DeploymentRecord, RunRecord]:
    """The run, and its deployment with its row locked: nobody else answers or cancels now.

    Raises :class:`UnknownName` and :class:`NothingAsked`.
    """
    found = tx.runs.get(number)
    if found is None:
        raise UnknownName("step run", run_id(number))
    deployment = tx.deployments.locked(found.deployment_id)
    run = tx.runs.get(number)  # again: it may have been answered before the row was locked
    assert deployment is not None
    assert run is not None
    if not run.asks:
        told = "was answered before and" if run.answered_at else "asks nothing: it"
        raise NothingAsked(f"{run_id(number)} {told} is {run.state}", None, run.message)
    return deployment, run


def _check_not_overtaken(tx: Transaction, deployment: DeploymentRecord) -> None:
    """An older release never goes over a newer one without being told to."""
    newer = tx.deployments.overtaken_by(deployment) if deployment.automatic else None
    if newer is not None and deployment.ticket is None:
        raise Overtaken(
            f"{deployment.project} {newer} has begun in {deployment.environment} while "
            f"{deployment.version} waited for this",
            None,
            "abort it (--abort), or say that it may go over what is newer (--over-newer)",
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
