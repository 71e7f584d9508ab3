"""Schedules: deployments that are asked for again and again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError
from deployengine.domain.identity import deployment_id
from deployengine.domain.release import LATEST
from deployengine.engine.deployments import Asked, Deployments, NotReached
from deployengine.engine.freezes import occurrences
from deployengine.engine.intake import Terms
from deployengine.engine.ports import Clock
from deployengine.persistence import Conflict, Database, Transaction

log = logging.getLogger("deployengine.schedules")

Schedule = Mapping[str, Any]


class Schedules:
    """Asks for what the catalog's schedules want, each time once, whoever looks."""

    def __init__(self, database: Database, deployments: Deployments, clock: Clock) -> None:
        self._database = database
        self._deployments = deployments
        self._clock = clock

    def look(self) -> None:
        """Everything that is due now; raises ``Unreachable``."""
        now = self._clock.now()
        with self._database.read() as tx:
            schedules = {d["name"]: d for d in tx.catalog.documents("schedule")}
            known = tx.recurrences.all()
        if schedules.keys() != known.keys():
            self._note(schedules, now)
            return
        for name, (rule, next_at) in known.items():
            schedule = schedules[name]
            if rule != _rule(schedule) or next_at <= now:
                self._take(schedule, next_at, now, due=rule == _rule(schedule))

    def _note(self, schedules: Mapping[str, Schedule], now: datetime) -> None:
        """Notes when new schedules come first, and forgets those that are gone."""
        try:
            with self._database.write("recur") as tx:
                tx.recurrences.keep(schedules.keys())
                for name in schedules.keys() - tx.recurrences.all().keys():
                    schedule = schedules[name]
                    tx.recurrences.add(name, _rule(schedule), next_of(schedule, now))
        except Conflict:
            log.debug("somebody else has noted the schedules")

    def _take(self, schedule: Schedule, before: datetime, now: datetime, *, due: bool) -> None:
        """Moves a schedule on to its next time and, if it is due, asks for its deployment.

        In one transaction, so that no time is lost and none is taken twice. Times that passed while
        nobody looked are one.
        """
        name = str(schedule["name"])
        asked = None
        with self._database.write("recur") as tx:
            later = next_of(schedule, now)
            if not tx.recurrences.move(name, before, _rule(schedule), later) or not due:
                return
            try:
                asked = self._ask(tx, schedule)
            except RequestError as error:
                log.warning("schedule %s is left out this time: %s", name, error)
        if asked is not None:
            log.info("schedule %s: %s is queued", name, deployment_id(asked.deployment.id))
            self._deployments.tell(asked)

    def _ask(self, tx: Transaction, schedule: Schedule) -> Asked:
        project, environment = str(schedule["project"]), str(schedule["environment"])
        terms = terms_of(schedule)
        queued = tx.deployments.some(project, environment, DeploymentState.QUEUED)
        for before in queued:
            if before.requested_by == terms.requested_by:
                raise RequestError(f"{deployment_id(before.id)}, from the time before, still waits")
        refused = RequestError(f"{project} has no release")
        for version in versions_of(tx, schedule):
            try:
                return self._deployments.ask(tx, project, version, environment, terms, holds=True)
            except NotReached as error:  # the latest that may enter is meant
                refused = error
        raise refused


def versions_of(tx: Transaction, schedule: Schedule) -> Iterable[str]:
    """The versions that a schedule means now, the first that may enter the environment counts."""
    version = str(schedule.get("release", LATEST))
    if version != LATEST:
        return [version]
    return reversed(tx.releases.versions(str(schedule["project"])))


def terms_of(schedule: Schedule) -> Terms:
    """On which terms it asks."""
    return Terms(requested_by=f"schedule {schedule['name']}")


def _rule(schedule: Schedule) -> str:
    return f"{schedule['cron']} {schedule.get('time_zone', 'UTC')}"


def next_of(schedule: Schedule, now: datetime) -> datetime:
    """When it comes after this instant."""
    zone = str(schedule.get("time_zone", "UTC"))
    return next(iter(occurrences(str(schedule["cron"]), zone, now)))
