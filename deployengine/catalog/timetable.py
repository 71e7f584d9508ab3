"""What happens by the calendar: freezes, in which nothing is deployed, and schedules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from deployengine.catalog.names import Name, SomeNames, SomeRangedNames
from deployengine.catalog.node import Node, Span, Text
from deployengine.catalog.times import Cron, LocalTime, TimeZone
from deployengine.domain.release import LATEST

_CRON = "Minute, hour, day of month, month and day of week, in the time zone."


def _one(name: str) -> str:
    if "[" in name or "]" in name:
        raise ValueError("a schedule has one project: name one, and write a schedule for each")
    return name


class Freeze(Node):
    """A time in which no deployment begins: once (from and to), or again (cron and lasts)."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["from", "to"]}, {"required": ["cron", "lasts"]}],
        }
    )

    name: Name = Field(examples=["year-end", "weekends"])
    environments: SomeNames = Field(default_factory=list, description="Left out: all.")
    projects: SomeRangedNames = Field(
        default_factory=list,
        description="Left out: all. A range names many projects.",
        examples=[["shop", "app-[001:050]"]],
    )
    begins: LocalTime | None = Field(
        default=None,
        alias="from",
        description="When it begins, on the clocks of the time zone.",
        examples=["2026-12-20T00:00"],
    )
    ends: LocalTime | None = Field(
        default=None, alias="to", description="When it ends.", examples=["2027-01-03T00:00"]
    )
    cron: Cron | None = Field(
        default=None, description=f"Each time when it begins. {_CRON}", examples=["0 18 * * FRI"]
    )
    lasts: Span | None = Field(
        default=None,
        serialization_alias="lasts_seconds",
        description="How long it lasts each time.",
        examples=["62h"],
    )
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Vienna"])


class Schedule(Node):
    """A deployment that is asked for again and again."""

    name: Name = Field(examples=["nightly"])
    project: Annotated[Name, AfterValidator(_one)]
    environment: Name
    release: Text = Field(
        default=LATEST,
        min_length=1,
        description="The release number; latest: the newest release of the project.",
        examples=[LATEST, "1.4.0"],
    )
    cron: Cron = Field(description=_CRON, examples=["0 2 * * *"])
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Vienna"])
