"""Runs that ask a person how they ended, told to whoever waits."""

from __future__ import annotations

from collections.abc import Iterable

from deployengine.cli.session import Session
from deployengine.engine.questions import Question
from deployengine.persistence.records import DeploymentRecord


def question_said(asked: Question) -> str:
    """What a run asks, why, and the command that answers it."""
    why = f" ({asked.run.message})" if asked.run.message else ""
    return f"{asked.label}: {asked.text}{why}\n  {asked.command}"


class Questions:
    """Tells each question once, as talk."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: set[int] = set()

    def tell(self, deployments: Iterable[DeploymentRecord]) -> None:
        """Tells what the runs of these deployments ask and has not been told yet."""
        for asked in self._session.services.queries.questions(deployments):
            if asked.run.id not in self._told:
                self._told.add(asked.run.id)
                self._session.say(question_said(asked))
