"""Freezes and schedules: when they are, and what they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.local_time import instant
from tests.catalog.conftest import SMALL, Faults, Read

YEAR_END = "name: year-end, from: 2026-12-20T00:00, to: 2027-01-03T00:00"
WEEKENDS = "name: weekends, cron: '0 18 * * FRI', lasts: 62h"
NIGHTLY = "name: nightly, project: app-1, environment: QA, cron: '0 2 * * *'"


def freezes(*items: str) -> str:
    """The small catalog and these freezes, the first on line 28."""
    return SMALL + "freezes:\n" + "".join(f"  - {{{item}}}\n" for item in items)


def schedules(*items: str) -> str:
    """The small catalog and these schedules, the first on line 28."""
    return SMALL + "schedules:\n" + "".join(f"  - {{{item}}}\n" for item in items)


@pytest.mark.parametrize(
    ("text", "kind", "stored"),
    [
        (freezes(YEAR_END), "freeze",
         {"name": "year-end", "from": "2026-12-20T00:00", "to": "2027-01-03T00:00"}),
        (freezes(f"{YEAR_END}, time_zone: UTC"), "freeze",
         {"name": "year-end", "from": "2026-12-20T00:00", "to": "2027-01-03T00:00"}),
        (freezes("name: a, from: 2026-12-20 08:30:15, to: '2026-12-20T09:00', "
                 "time_zone: Europe/Vienna, environments: [Production], projects: ['app-[1:2]']"),
         "freeze",
         {"name": "a", "from": "2026-12-20T08:30:15", "to": "2026-12-20T09:00",
          "time_zone": "Europe/Vienna", "environments": ["Production"],
          "projects": ["app-1", "app-2"]}),
        (freezes("name: past, from: 2001-01-01T00:00, to: 2001-01-02T00:00"), "freeze",
         {"name": "past", "from": "2001-01-01T00:00", "to": "2001-01-02T00:00"}),
        (freezes(WEEKENDS.replace("18 *", "18  *")), "freeze",
         {"name": "weekends", "cron": "0 18 * * FRI", "lasts_seconds": 223200.0}),
        (freezes("name: days, cron: '0 0 * * SAT,SUN', lasts: 1d"), "freeze",
         {"name": "days", "cron": "0 0 * * SAT,SUN", "lasts_seconds": 86400.0}),
        (freezes("name: leap, cron: '0 0 29 2 */7', lasts: 366d"), "freeze",
         {"name": "leap", "cron": "0 0 29 2 */7", "lasts_seconds": 31622400.0}),
        (schedules(NIGHTLY), "schedule",
         {"name": "nightly", "project": "app-1", "environment": "QA", "cron": "0 2 * * *"}),
        (schedules(f"{NIGHTLY}, release: latest"), "schedule",
         {"name": "nightly", "project": "app-1", "environment": "QA", "cron": "0 2 * * *"}),
        (schedules(f"{NIGHTLY}, release: 1.10, time_zone: America/New_York"), "schedule",
         {"name": "nightly", "project": "app-1", "environment": "QA", "cron": "0 2 * * *",
          "release": "1.10", "time_zone": "America/New_York"}),
    ],
)  # fmt: skip
def test_it_is_stored_as_it_is_written(
    read: Read, text: str, kind: Any, stored: dict[str, Any]
) -> None:
    (item,) = read(text).of(kind)
    assert (item.name, item.document) == (stored["name"], stored)


CRON = "five fields: minute, hour, day of month, month, day of week, as in 0 18 * * FRI"
TIME = "is no local time: write 2026-12-20T18:00, and its zone as time_zone"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (freezes("name: a"), "freezes[0]", "a freeze needs from and to, or cron and lasts"),
        (freezes(f"{WEEKENDS}, from: 2026-12-20T00:00"), "freezes[0].cron",
         "a freeze is once (from and to) or again and again (cron and lasts), not both"),
        (freezes(f"{YEAR_END}, lasts: 2h"), "freezes[0].lasts",
         "a freeze is once (from and to) or again and again (cron and lasts), not both"),
        (freezes("name: a, from: 2026-12-20T00:00"), "freezes[0]", "'to' is missing beside 'from'"),
        (freezes("name: a, to: 2026-12-20T00:00"), "freezes[0]", "'from' is missing beside 'to'"),
        (freezes("name: a, cron: 0 18 * * FRI"), "freezes[0]", "'lasts' is missing beside 'cron'"),
        (freezes("name: a, lasts: 2h"), "freezes[0]", "'cron' is missing beside 'lasts'"),
        (freezes("name: a, from: 2026-12-20T00:00, to: 2026-12-19T00:00"), "freezes[0].to",
         "the freeze ends before it begins"),
        (freezes("name: a, from: 2026-12-20T00:00, to: 2026-12-20T00:00"), "freezes[0].to",
         "the freeze ends before it begins"),
        # The clocks of Vienna skip the hour after two: both are the same instant.
        (freezes("name: a, from: 2026-03-29T02:30, to: 2026-03-29T03:30, time_zone: Europe/Vienna"),
         "freezes[0].to", "the freeze ends before it begins"),
        (freezes(YEAR_END.replace("12-20", "13-20")), "freezes[0].from", TIME),
        (freezes(YEAR_END.replace("12-20", "02-30")), "freezes[0].from", TIME),
        (freezes(YEAR_END.replace("20T00:00", "20")), "freezes[0].from", TIME),
        (freezes(YEAR_END.replace("20T00:00", "20T00:00Z")), "freezes[0].from", TIME),
        (freezes(YEAR_END.replace("20T00:00", "20T00:00+01:00")), "freezes[0].from", TIME),
        (freezes(YEAR_END.replace("2027-01-03T00:00", "20270103")), "freezes[0].to", TIME),
        (freezes(YEAR_END.replace("form", "from").replace("from", "form")), "freezes[0].form",
         "unknown key 'form'; did you mean 'from'?"),
        (freezes(f"{YEAR_END}, begins: x"), "freezes[0].begins",
         "unknown key 'begins'; there are name, environments, projects, from, to, cron, lasts, "
         "time_zone"),
        (freezes(f"{YEAR_END}, time_zone: Europe/Viena"), "freezes[0].time_zone",
         "there is no time zone 'Europe/Viena'; did you mean 'Europe/Vienna'?"),
        (freezes(f"{YEAR_END}, time_zone: ../../etc/passwd"), "freezes[0].time_zone",
         "there is no time zone '../../etc/passwd'"),
        (freezes(f"{YEAR_END}, time_zone: localtime"), "freezes[0].time_zone",
         "there is no time zone 'localtime'"),
        (freezes(f"{YEAR_END}, time_zone: CEST"), "freezes[0].time_zone",
         "'CEST' is no time zone; write Area/City, as Europe/Vienna"),
        (freezes(f"{YEAR_END}, time_zone: pdt"), "freezes[0].time_zone",
         "'pdt' is no time zone; write Area/City, as Europe/Vienna"),
        (freezes(f"{YEAR_END}, time_zone: utc"), "freezes[0].time_zone",
         "there is no time zone 'utc'; did you mean 'UTC'?"),
        (freezes(f"{YEAR_END}, time_zone: +1"), "freezes[0].time_zone", "must be a text"),
        (freezes(WEEKENDS.replace("62h", "62 hours")), "freezes[0].lasts",
         "is no span of time: write 90s, 15m, 1h30m or a number of seconds"),
        (freezes(WEEKENDS.replace("62h", "0")), "freezes[0].lasts", "must be more than 0"),
        (freezes(WEEKENDS.replace("62h", "367d")), "freezes[0].lasts",
         "must be at most 31622400"),
        (freezes(WEEKENDS.replace("62h", "7d1s")), "freezes[0].lasts",
         "the freeze begins again before it has ended; let it begin less often"),
        (freezes(WEEKENDS.replace("62h", "7d")), "freezes[0].lasts",
         "the freeze begins again before it has ended; let it begin less often"),
        (freezes(WEEKENDS.replace("0 18 * *", "* * * *").replace("62h", "1h")), "freezes[0].lasts",
         "the freeze begins again before it has ended; let it begin less often"),
        (freezes(WEEKENDS.replace("0 18 * * FRI", "0 18 * *")), "freezes[0].cron",
         f"must have {CRON}"),
        (freezes(WEEKENDS.replace("0 18 * * FRI", "0 0 18 * * FRI")), "freezes[0].cron",
         f"must have {CRON}"),
        (freezes(WEEKENDS.replace("0 18 * * FRI", "@weekly")), "freezes[0].cron",
         f"must have {CRON}"),
        (freezes(WEEKENDS.replace("0 18", "0 25")), "freezes[0].cron",
         f"has a wrong hour; write {CRON}"),
        (freezes(WEEKENDS.replace("FRI", "FRY")), "freezes[0].cron",
         f"has a wrong day of week; write {CRON}"),
        (freezes(WEEKENDS.replace("* * FRI", "30 2 *")), "freezes[0].cron",
         "names a day that never comes: its months are too short"),
        (freezes(WEEKENDS.replace("* * FRI", "31 4,6 *")), "freezes[0].cron",
         "names a day that never comes: its months are too short"),
        (freezes(WEEKENDS.replace("* * FRI", "32 4 *")), "freezes[0].cron",
         f"has a wrong day of month; write {CRON}"),
        (freezes(WEEKENDS.replace("* * FRI", "31 13 *")), "freezes[0].cron",
         f"has a wrong month; write {CRON}"),
        (freezes(f"{YEAR_END}, environments: [Prodction]"), "freezes[0].environments[0]",
         "there is no environment 'Prodction'; did you mean 'Production'?"),
        (freezes(f"{YEAR_END}, environments: []"), "freezes[0].environments", "must not be empty"),
        (freezes(f"{YEAR_END}, projects: []"), "freezes[0].projects", "must not be empty"),
        (freezes(f"{YEAR_END}, projects: ['app-[1:3]']"), "freezes[0].projects[0]",
         "there is no project 'app-3'; did you mean 'app-2'?"),
        (schedules(NIGHTLY.replace("app-1", "ap-1")), "schedules[0].project",
         "there is no project 'ap-1'; did you mean 'app-1'?"),
        (schedules(NIGHTLY.replace("app-1", "'app-[1:2]'")), "schedules[0].project",
         "a schedule has one project: name one, and write a schedule for each"),
        (schedules(NIGHTLY.replace("app-1", "'app-['")), "schedules[0].project",
         "a schedule has one project: name one, and write a schedule for each"),
        (schedules(NIGHTLY.replace("QA", "qa")), "schedules[0].environment",
         "there is no environment 'qa'; did you mean 'QA'?"),
        (schedules("name: nightly, project: app-1, environment: QA"), "schedules[0]",
         "'cron' is missing"),
        (schedules("name: nightly, environment: QA, cron: 0 2 * * *"), "schedules[0]",
         "'project' is missing"),
        (schedules("name: nightly, project: app-1, cron: 0 2 * * *"), "schedules[0]",
         "'environment' is missing"),
        (schedules(NIGHTLY.replace("0 2 *", "0 2 0")), "schedules[0].cron",
         f"has a wrong day of month; write {CRON}"),
        (schedules(f"{NIGHTLY}, release: 1/0"), "schedules[0].release",
         "'1/0' is no release number: use letters, digits and . + _ - (for example 1.4.0)"),
        (schedules(f"{NIGHTLY}, time_zone: UCT+1"), "schedules[0].time_zone",
         "there is no time zone 'UCT+1'; did you mean 'UCT'?"),
        (schedules(f"{NIGHTLY}, lasts: 2h"), "schedules[0].lasts",
         "unknown key 'lasts'; there are name, project, environment, release, cron, time_zone"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_told_with_its_place_and_nothing_else_is(
    faults: Faults, text: str, path: str, message: str
) -> None:
    assert [(f.line, f.path, f.message) for f in faults(text)] == [(28, path, message)]


def test_two_of_one_name_are_told(faults: Faults) -> None:
    text = freezes(YEAR_END, WEEKENDS.replace("weekends", "Year-End"))
    text += f"schedules:\n  - {{{NIGHTLY}}}\n  - {{{NIGHTLY}}}\n"
    found = [(f.line, f.path, f.message.rpartition("/")[2]) for f in faults(text)]
    assert found == [
        (29, "freezes[1].name", "catalog.yaml:28"),
        (32, "schedules[1].name", "catalog.yaml:31"),
    ]


def _freeze(name: str, begin: int, end: int, more: str = "") -> str:
    return f"name: {name}, from: 2026-12-{begin}T00:00, to: 2026-12-{end}T00:00{more}"


def test_one_off_freezes_of_the_same_projects_and_environments_may_not_overlap(
    faults: Faults,
) -> None:
    qa = ", environments: [QA], projects: [app-1, app-2]"
    same = ", environments: [QA], projects: ['app-[1:2]']"
    text = freezes(_freeze("b", 20, 24, qa), _freeze("a", 10, 21, same), _freeze("c", 24, 26, qa))
    (fault,) = faults(text)
    assert (fault.line, fault.path) == (28, "freezes[0].from")
    assert fault.message.startswith("overlaps freeze 'a' (")
    assert fault.message.endswith(
        "catalog.yaml:29) of the same projects and environments; make one of them"
    )


def test_a_long_freeze_overlaps_all_that_begin_in_it(faults: Faults) -> None:
    text = freezes(_freeze("a", 10, 30), _freeze("b", 11, 12), _freeze("c", 13, 14))
    assert [(f.line, f.message.partition(" (")[0]) for f in faults(text)] == [
        (29, "overlaps freeze 'a'"),
        (30, "overlaps freeze 'a'"),
    ]


def test_other_freezes_add_up(read: Read) -> None:
    items = [
        _freeze("a", 10, 20),
        _freeze("b", 10, 20, ", environments: [QA]"),
        _freeze("c", 10, 20, ", environments: [QA], projects: [app-1]"),
        _freeze("d", 20, 22),
        WEEKENDS,
        WEEKENDS.replace("weekends", "fridays"),
    ]
    assert len(read(freezes(*items)).of("freeze")) == len(items)


def test_whether_freezes_overlap_their_time_zones_decide(read: Read) -> None:
    east, west = ", time_zone: Asia/Tokyo", ", time_zone: America/New_York"
    read(freezes(_freeze("a", 10, 11, east), _freeze("b", 11, 12, west)))


def test_a_time_that_the_clocks_skip_is_as_if_they_had_not_been_put_forward_yet() -> None:
    assert instant("2026-03-29T02:30", "Europe/Vienna") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_of_a_time_that_the_clocks_show_twice_the_first_counts() -> None:
    assert instant("2026-10-25T02:30", "Europe/Vienna") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe"]),
)
def test_any_local_time_is_shown_by_the_clocks_at_its_instant_unless_they_skip_it(
    local: datetime, zone: str
) -> None:
    local = local.replace(second=0, microsecond=0)
    at = instant(local.isoformat(), zone)
    shown = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    skipped = shown - local
    assert shown == local or 0 < skipped.total_seconds() <= 3600
