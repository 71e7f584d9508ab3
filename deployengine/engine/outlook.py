"""Outlook: which freezes are in force or come next, and when each schedule comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deployengine.domain.release import LATEST
from deployengine.engine.freezes import Coming, Freezes
from deployengine.engine.schedules import next_of, terms_of
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord


@dataclass(frozen=True, slots=True)
class ComingSchedule:
    """When a schedule comes next, and the last deployment that it asked for, if there is one."""

    name: str
    project: str
    release: str
    environment: str
    next_at: datetime
    last: DeploymentRecord | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the calendar of the applied catalog holds, by when it comes."""

    freezes: Sequence[Coming]
    schedules: Sequence[ComingSchedule]


def outlook(tx: Transaction, now: datetime) -> Outlook:
    """As it is seen from this instant."""
    schedules = []
    for each in tx.catalog.documents("schedule"):
        asked = tx.deployments.some(requested_by=terms_of(each).requested_by, limit=1)
        schedules.append(
            ComingSchedule(
                name=str(each["name"]),
                project=str(each["project"]),
                release=str(each.get("release", LATEST)),
                environment=str(each["environment"]),
                next_at=next_of(each, now),
                last=asked[0] if asked else None,
            )
        )
    schedules.sort(key=lambda each: (each.next_at, each.name))
    return Outlook(Freezes.from_catalog(tx).coming(now), schedules)
