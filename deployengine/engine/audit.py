"""On record: every change that somebody makes is written down in the transaction that makes it.

What the engine does by itself (promotions, step runs) is no event: that is on record as what it
is. Three things are although the engine does them: a deployment that the bypass variable lets share
machines, one that brings machines what they have missed, and what retention removes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deployengine.domain.audit import Action, Event
from deployengine.domain.identity import deployment_id
from deployengine.engine.freezes import Hold
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord

#: Who does what nobody asked for just now.
ENGINE = "deployengine"

#: Characters that the columns of short texts take.
_WIDTH = 255


def record(
    tx: Transaction,
    now: datetime,
    who: str,
    action: Action,
    subject: str,
    *,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Puts an event on record with the transaction's changes.

    ``subject`` is an id as lists show it, or what :func:`release_subject`,
    :func:`batch_subject` and :func:`machine_subject` make. The documents must hold no secret.
    """
    tx.audit.add(
        Event(
            now,
            who[:_WIDTH],
            action,
            subject[:_WIDTH],
            reason or None,
            _as_read(before),
            _as_read(after),
        )
    )


def record_request(
    tx: Transaction,
    now: datetime,
    deployment: DeploymentRecord,
    action: Action,
    before: Mapping[str, Any] | None,
    overridden: Hold | None,
) -> None:
    """Puts on record that somebody asked for a deployment, and the freeze that was overridden."""
    options = dict(deployment.options or {})
    if "values" in options:
        options["values"] = sorted(options["values"])  # their names: each of them may be a secret
    times = {"not_before": deployment.not_before, "expires_at": deployment.expires_at}
    after = {
        "release": _release(deployment),
        "environment": deployment.environment,
        "priority": deployment.priority,
        "guided": deployment.guided,
        **options,
        **{name: moment.isoformat() for name, moment in times.items() if moment is not None},
    }
    who, subject = deployment.requested_by or ENGINE, deployment_id(deployment.id)
    record(tx, now, who, action, subject, before=before, after=after)
    if overridden is not None:
        reason, found = str(options["override_freeze"]), {**after, "freeze": overridden.name}
        record(tx, now, who, Action.FREEZE_OVERRIDE, subject, reason=reason, after=found)


def record_bypass(
    tx: Transaction,
    now: datetime,
    deployment: DeploymentRecord,
    shared: Mapping[str, Sequence[str]],
) -> None:
    """Puts on record that a deployment is let onto machines beside others: by step, on which."""
    after = {
        "release": _release(deployment),
        "environment": deployment.environment,
        "steps": {step: len(machines) for step, machines in shared.items()},
        "machines": len({name for machines in shared.values() for name in machines}),
    }
    who, subject = deployment.requested_by or ENGINE, deployment_id(deployment.id)
    record(tx, now, who, Action.MUTEX_BYPASS, subject, after=after)


def release_subject(project: str, version: str) -> str:
    """How a release is called as a subject."""
    return f"release {project} {version}"


def machine_subject(name: str) -> str:
    """How a machine is called as a subject."""
    return f"machine {name}"


def batch_subject(name: str) -> str:
    """How a batch is called as a subject."""
    return f"batch {name}"


def _release(deployment: DeploymentRecord) -> str:
    return f"{deployment.project} {deployment.version}"


def _as_read(document: Mapping[str, Any] | None) -> Any:
    """As it comes back from the database: only so do both have the same hash."""
    return None if document is None else json.loads(json.dumps(document))
