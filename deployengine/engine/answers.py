"""Answers: what a person says of a run whose end is unknown, and what comes of it."""

from __future__ import annotations

import logging

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.identity import run_id
from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.questions import Answer, after
from deployengine.engine.requests import for_run, run_label
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import DeploymentRecord, RunRecord

log = logging.getLogger("deployengine.answers")

_STATES = {
    Answer.SUCCEEDED: RunState.SUCCEEDED,
    Answer.FAILED: RunState.FAILED,
    Answer.RERUN: RunState.UNKNOWN,
}


class NothingAsked(RequestError):
    """The run asks nothing, or not any more."""


class Answers:
    """Takes answers; of several to one question the first one counts."""

    def __init__(
        self, database: Database, handoff: HandOff, archive: Archive, clock: Clock
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock

    def answer(self, number: int, answer: Answer, who: str, note: str = "") -> RunRecord:
        """Closes the run's question: it has succeeded, has failed, or a further attempt waits.

        A failure that a person states is final: ``retries`` are for failures that were seen.
        ``who`` and ``note`` become part of the run's message. The deployment goes on once no run
        of it asks any more. Raises :class:`UnknownName` and :class:`NothingAsked`.
        """
        said = f"{who} answered {answer}" + (f": {note}" if (note := _one_line(note)) else "")
        with self._database.write("answer") as tx:
            deployment, run = _asking(tx, number)
            plan = self._archive.plan(tx, deployment.id)
            now = self._clock.now()
            tx.runs.answer(number, _STATES[answer], now, after(run.message, said))
            again, last = [], False
            if answer is Answer.RERUN:
                attempt = tx.runs.add_attempt(run, tx.counters.draw(TICKET), now)
                tx.claims.touch({attempt.id: plan.steps[run.step].runs[run.place].touched})
                again = [for_run(deployment, plan, attempt)]
            else:
                last = tx.steps.count_down(deployment.id, run.step, 1, now)
            if not tx.runs.asking([deployment.id]):
                tx.deployments.unpause(deployment.id)
            answered = tx.runs.get(number)
        assert answered is not None
        log.info("%s: %s", run_label(deployment, plan, run), said)
        with self._handoff.or_later(f"the answer for {run_id(number)}"):
            self._handoff.exchange(entering=again)
            if last:
                self._handoff.resume(deployment.id)
        return answered


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


def _one_line(text: str) -> str:
    return " ".join(text.split())
