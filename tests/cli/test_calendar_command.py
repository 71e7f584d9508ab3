"""``calendar``: what is in force, what comes next, and what came of it the last time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.acceptance.catalogs import catalog, project
from tests.cli.conftest import Say
from tests.support.fakes import House


def applied(house: House, **parts: Any) -> None:
    phases = [{"name": "QA", "manual": ["QA"]}]
    lifecycles = [{"name": "auto", "phases": phases}]
    house.apply(catalog(project("web", "true\n"), lifecycles=lifecycles, **parts))


def local(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def test_a_freeze_is_in_force_or_comes_and_is_left_out_when_it_is_over(
    house: House, say: Say
) -> None:
    now, day = house.clock.now(), timedelta(days=1)

    def freeze(name: str, begin: int, end: int, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "from": local(now + begin * day),
            "to": local(now + end * day),
            **more,
        }

    applied(
        house,
        freezes=[
            freeze("later", 5, 6, projects=["web"]),
            freeze("over", -2, -1),
            freeze("now", -1, 1, environments=["QA"]),
            {"name": "weekly", "cron": "0 18 * * FRI", "lasts": "2d", "time_zone": "UTC"},
        ],
    )
    found = {each["name"]: each for each in say("calendar", "--json").document["freezes"]}
    assert set(found) == {"now", "later", "weekly"}
    assert (found["now"]["in_force"], found["now"]["begins_at"]) == (True, None)
    assert (found["now"]["environments"], found["now"]["projects"]) == (["QA"], [])
    assert found["later"]["begins_at"].startswith(local(now + 5 * day))
    assert found["later"]["projects"] == ["web"]
    if not found["weekly"]["in_force"]:
        begins, ends = (
            datetime.fromisoformat(found["weekly"][key]) for key in ("begins_at", "ends_at")
        )
        assert (begins.weekday(), begins.hour, ends - begins) == (4, 18, 2 * day)
        assert now < begins <= now + 7 * day
    told = say("calendar").out
    assert "now     is in force" in told
    assert "over" not in told


def test_a_schedule_tells_when_it_comes_next_and_what_came_of_it_the_last_time(
    house: House, say: Say
) -> None:
    nightly = {"name": "nightly", "project": "web", "environment": "QA", "cron": "0 2 * * *"}
    applied(house, schedules=[nightly])
    (before,) = say("calendar", "--json").document["schedules"]
    next_at = datetime.fromisoformat(before["next_at"])
    assert (next_at.hour, before["last"]) == (2, None)
    assert house.clock.now() < next_at <= house.clock.now() + timedelta(days=1)
    assert "web latest → QA  nothing yet" in say("calendar").out
    say("release", "create", "web", "1.0")
    house.schedules.look()
    house.clock.advance(86_400)
    house.schedules.look()
    house.deliver_all()
    house.deployments.deploy("web", "1.0", "QA")  # not one of its own
    (after,) = say("calendar", "--json").document["schedules"]
    assert (after["last"]["id"], after["last"]["state"]) == ("dep-1", "succeeded")
    assert datetime.fromisoformat(after["next_at"]) == next_at + timedelta(days=1)


def test_an_empty_calendar_says_so(house: House, say: Say) -> None:
    applied(house)
    assert say("calendar", "--json").document == {"freezes": [], "schedules": []}
    assert "no freeze is in force or to come" in say("calendar").out
