"""Freezes: times in which nothing begins in some environments, for some projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim

from deployengine.catalog.ranges import expand
from deployengine.domain.errors import RequestError
from deployengine.domain.local_time import instant
from deployengine.persistence import Transaction

#: Nobody asks when a freeze ends that goes on for longer.
_FAR = timedelta(days=366)


class Frozen(RequestError):
    """A freeze keeps the deployment from beginning."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A freeze that is in force, and when it ends."""

    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Coming:
    """The time of a freeze that is in force (``begins_at`` is ``None``), or that comes next.

    It is about these environments and projects; none named means all of them.
    """

    name: str
    environments: Sequence[str]
    projects: Sequence[str]
    begins_at: datetime | None
    ends_at: datetime


class Freezes:
    """The freezes of the catalog."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self._freezes = [_Freeze(document) for document in documents]

    @classmethod
    def from_catalog(cls, tx: Transaction) -> Freezes:
        """Those of the applied catalog."""
        return cls(tx.catalog.documents("freeze"))

    def hold(self, project: str, environment: str, now: datetime) -> Hold | None:
        """The freeze that keeps the project from the environment, of several the longest."""
        found = [
            Hold(freeze.name, until)
            for freeze in self._freezes
            if freeze.covers(project, environment) and (until := freeze.until(now)) is not None
        ]
        return max(found, key=lambda hold: hold.until, default=None)

    def coming(self, now: datetime) -> list[Coming]:
        """When each of them is in force, those first that are so now; without what is over."""
        found = [coming for freeze in self._freezes if (coming := freeze.coming(now)) is not None]
        return sorted(found, key=lambda each: (each.begins_at or now, each.name))


class _Freeze:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self.name = str(document["name"])
        self._environments: Sequence[str] = document.get("environments", ())
        self._projects = {p for name in document.get("projects", ()) for p in expand(name)}
        self._zone = str(document.get("time_zone", "UTC"))
        self._document = document

    def covers(self, project: str, environment: str) -> bool:
        """Whether it is about them; what it does not name it means all of."""
        there = not self._environments or environment in self._environments
        return there and (not self._projects or project in self._projects)

    def until(self, now: datetime) -> datetime | None:
        """When it ends, if it is in force."""
        if "cron" in self._document:
            return self._again(now)
        begin = instant(self._document["from"], self._zone)
        end = instant(self._document["to"], self._zone)
        return end if begin <= now < end else None

    def coming(self, now: datetime) -> Coming | None:
        """The time that is in force or comes next; ``None`` when none comes any more."""
        begin = None
        end = self.until(now)
        if end is None:
            begin = self._next(now)
            end = self.until(begin) if begin is not None else None
        if end is None:
            return None
        projects = self._document.get("projects", ())
        return Coming(self.name, self._environments, projects, begin, end)

    def _next(self, now: datetime) -> datetime | None:
        """When it begins after this."""
        if "cron" in self._document:
            return next(iter(occurrences(self._document["cron"], self._zone, now)), None)
        begin = instant(self._document["from"], self._zone)
        return begin if begin > now else None

    def _again(self, now: datetime) -> datetime | None:
        lasts = timedelta(seconds=self._document["lasts_seconds"])
        end = None
        for begin in occurrences(self._document["cron"], self._zone, now - lasts):
            # One that begins before the last one has ended makes it longer, perhaps for ever.
            if begin > (end or now) or begin > now + _FAR:
                break
            end = begin + lasts
        return end


def occurrences(cron: str, time_zone: str, after: datetime) -> Iterable[datetime]:
    """The instants of a cron rule after this one, in UTC."""
    local = after.astimezone(ZoneInfo(time_zone))
    return (each.astimezone(UTC) for each in CronSim(cron, local))
