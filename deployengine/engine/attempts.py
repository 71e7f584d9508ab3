"""Further attempts: a run that ended badly is to be carried out once more."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployengine.domain.plan import Plan
from deployengine.domain.project import Step
from deployengine.domain.sequel import pause
from deployengine.engine.tickets import draw
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord, RunRecord


def again(
    tx: Transaction,
    deployment: DeploymentRecord,
    plan: Plan,
    step: Step,
    run: RunRecord,
    now: datetime,
    *,
    at_once: bool = False,
) -> list[RunRecord]:
    """Stores the attempt after this run, whose end is on record; what is ready of it now.

    Unless it is wanted ``at_once`` the step may want a pause before it. That costs nothing either:
    the attempt is a row until then, and gets its ticket after it.
    """
    seconds = 0.0 if at_once else pause(step, tx.runs.ends_up_to(run))
    if seconds:
        tx.runs.add_attempt(run, None, now, now + timedelta(seconds=seconds))
        return []
    (ticket,) = draw(tx, deployment.priority)
    attempt = tx.runs.add_attempt(run, ticket, now)
    tx.claims.touch({attempt.id: plan.steps[run.step].runs[run.place].touched})
    return [attempt]
