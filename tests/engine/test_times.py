"""Times: schedules, freezes, expiry, and what comes again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployengine.domain.audit import Action
from deployengine.engine.deployments import InThePast, NoReason
from deployengine.engine.freezes import Freezes, Frozen
from deployengine.engine.intake import Terms
from deployengine.engine.questions import Answer
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, step, three_stages
from tests.support.fakes import FakeClock, House

HOUR = 3600


def local(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def frozen(house: House, hours: float = 2, **more: Any) -> dict[str, Any]:
    begin = house.clock.now() - timedelta(minutes=1)
    return {
        "name": "break",
        "from": local(begin),
        "to": local(begin + timedelta(hours=hours)),
        **more,
    }


def state(house: House, number: int) -> str:
    return house.detail(number).deployment.state.value


def ready(house: House, **parts: Any) -> None:
    """A project whose release waits for somebody to deploy it."""
    manual = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    house.apply(catalog(project("app", "true\n"), **{"lifecycles": manual, **parts}))
    house.releases.create(Wanted("app", "1.0"))


# ---- schedules ----


def test_a_scheduled_deployment_has_no_place_in_line_until_its_time(house: House) -> None:
    ready(house)
    at = house.clock.now() + timedelta(hours=1)
    number = house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at)).id
    assert house.held() == {}
    (wait,) = house.waits.why(f"dep-{number}")
    assert (wait.reason.value, wait.expected_start) == ("schedule", at)
    house.clock.advance(HOUR - 1)
    house.calendar.look()
    assert house.dispatcher.quiet
    house.clock.advance(1)
    house.calendar.look()
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_nobody_waits_behind_a_deployment_that_is_scheduled(house: House) -> None:
    ready(house)
    at = house.clock.now() + timedelta(hours=1)
    house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at))
    now = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_all()
    assert state(house, now) == "succeeded"


def test_a_time_in_the_past_is_refused(house: House) -> None:
    ready(house)
    past = house.clock.now() - timedelta(seconds=1)
    with pytest.raises(InThePast):
        house.deployments.deploy("app", "1.0", "QA", Terms(not_before=past))
    with pytest.raises(InThePast):
        house.deployments.deploy("app", "1.0", "QA", Terms(expires_at=past))
    at = house.clock.now() + timedelta(hours=1)
    with pytest.raises(InThePast):
        house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at, expires_at=at))


def test_what_has_not_begun_in_time_is_cancelled_and_gives_up_its_place(house: House) -> None:
    ready(house)
    first = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_chains()  # its script is about to run
    expires = house.clock.now() + timedelta(minutes=5)
    second = house.deployments.deploy("app", "1.0", "QA", Terms(expires_at=expires)).id
    house.clock.advance(300)
    house.calendar.look()
    assert (state(house, first), state(house, second)) == ("running", "cancelled")
    assert house.held()["tag:app/QA"] == ([f"dep-{first}"], [])
    assert "not begun by" in (house.detail(second).deployment.message or "")


def test_what_has_begun_in_time_does_not_expire_while_it_lines_up_again(house: House) -> None:
    approve = {"name": "Approve", "kind": "manual", "instructions": "look at it"}
    process = [approve, step("true\n", "After")]
    manual = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    house.apply(catalog(project("app", process=process), lifecycles=manual))
    house.releases.create(Wanted("app", "1.0"))
    expires = house.clock.now() + timedelta(minutes=5)
    number = house.deployments.deploy("app", "1.0", "QA", Terms(expires_at=expires)).id
    house.deliver_all()
    house.answers.answer(house.queries.inbox()[0].run.id, Answer.PROCEED, "ann")
    assert state(house, number) == "queued"
    house.clock.advance(HOUR)
    house.calendar.look()
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_cancelling_what_is_scheduled_ends_it(house: House) -> None:
    ready(house)
    at = house.clock.now() + timedelta(hours=1)
    number = house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at)).id
    house.deployments.cancel(number)
    house.clock.advance(2 * HOUR)
    house.calendar.look()
    assert state(house, number) == "cancelled"
    assert house.dispatcher.quiet


def test_what_is_scheduled_is_still_so_after_redis_was_lost(house: House) -> None:
    ready(house)
    at = house.clock.now() + timedelta(hours=1)
    house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at))
    house.redis.flushall()
    house.recovery.sweep()
    assert house.locks.counts().requests == 0


# ---- freezes ----


def test_a_freeze_holds_an_automatic_promotion_and_lets_it_go_at_its_end(house: House) -> None:
    house.apply(
        three_stages(project("app", "true\n"), freezes=[frozen(house, environments=["Staging"])])
    )
    house.create("app")
    house.deliver_all()
    (held,) = house.queries.deployments(environment="Staging")
    assert (held.state.value, held.frozen_by) == ("queued", "break")
    (wait,) = house.waits.why(f"dep-{held.id}")
    assert wait.reason.value == "freeze"
    assert wait.expected_start is not None
    house.clock.advance(2 * HOUR)
    house.calendar.look()
    house.deliver_all()
    assert state(house, held.id) == "succeeded"
    assert [d.state.value for d in house.queries.deployments(environment="Production")] == [
        "succeeded"
    ]


def test_what_a_freeze_held_makes_way_for_a_newer_release_that_overrode_the_freeze(
    house: House,
) -> None:
    house.apply(
        three_stages(project("app", "true\n"), freezes=[frozen(house, environments=["Staging"])])
    )
    for version in ("1.0", "2.0"):
        house.create("app", version)
        house.deliver_all()
    override = Terms(override_freeze="fire")
    newer = house.deployments.deploy("app", "2.0", "Staging", override).id
    house.deliver_all()
    assert state(house, newer) == "succeeded"
    house.clock.advance(2 * HOUR)
    house.calendar.look()
    house.deliver_all()
    found = house.queries.deployments(environment="Staging")
    assert [(d.version, d.state.value, d.message) for d in found] == [
        ("2.0", "succeeded", None),
        ("2.0", "superseded", "somebody has deployed it there"),
        ("1.0", "superseded", "the newer release 2.0 is there"),
    ]


def test_who_deploys_in_a_freeze_is_told_and_may_override_it_with_a_reason(house: House) -> None:
    ready(house, freezes=[frozen(house)])
    with pytest.raises(Frozen, match="QA is frozen by break until"):
        house.deployments.deploy("app", "1.0", "QA")
    number = house.deployments.deploy("app", "1.0", "QA", Terms(override_freeze="fire")).id
    house.deliver_all()
    assert state(house, number) == "succeeded"
    assert house.detail(number).deployment.options == {"override_freeze": "fire"}


@pytest.mark.parametrize("in_force", [True, False])
def test_an_override_is_on_record_where_there_was_a_freeze(house: House, in_force: bool) -> None:
    ready(house, freezes=[frozen(house, hours=1 if in_force else 1 / 3600)])
    house.clock.advance(10)
    house.deployments.deploy("app", "1.0", "QA", Terms(override_freeze="fire"))
    found = house.audit_trail.latest(10, action=Action.FREEZE_OVERRIDE)
    assert [each.event.reason for each in found] == (["fire"] if in_force else [])


def test_who_overrides_a_freeze_is_on_record_with_the_reason(house: House) -> None:
    ready(house, freezes=[frozen(house)])
    terms = Terms(override_freeze="fire", requested_by="ann")
    number = house.deployments.deploy("app", "1.0", "QA", terms).id
    (entry,) = house.audit_trail.latest(5, action=Action.FREEZE_OVERRIDE)
    assert entry.event is not None
    event = entry.event
    assert (event.who, event.subject, event.reason) == ("ann", f"dep-{number}", "fire")


def test_what_is_scheduled_into_a_freeze_that_it_overrides_begins_at_its_time(
    house: House,
) -> None:
    ready(house, freezes=[frozen(house)])
    at = house.clock.now() + timedelta(hours=1)
    terms = Terms(not_before=at, override_freeze="fire")
    number = house.deployments.deploy("app", "1.0", "QA", terms).id
    house.clock.advance(HOUR)
    house.calendar.look()
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_what_would_begin_by_itself_in_a_freeze_gets_no_ticket_and_no_place_in_line(
    house: House,
) -> None:
    house.apply(catalog(project("app", "true\n"), freezes=[frozen(house)]))
    held = house.create("app")
    assert (held.ticket, held.frozen_by) == (None, "break")
    assert house.held() == {}
    assert house.dispatcher.quiet


def test_a_deployment_that_lines_up_again_after_an_approval_goes_on_in_a_freeze(
    house: House,
) -> None:
    approve = {"name": "Approve", "kind": "manual", "instructions": "look at it"}
    parts = [project("app", process=[approve, step("true\n", "After")])]
    house.apply(catalog(*parts))
    number = house.create("app").id
    house.deliver_all()
    assert state(house, number) == "paused"
    house.apply(catalog(*parts, freezes=[frozen(house)]))
    house.answers.answer(house.queries.inbox()[0].run.id, Answer.PROCEED, "ann")
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_a_freeze_that_begins_while_a_deployment_is_in_line_holds_it(house: House) -> None:
    ready(house)
    number = house.deployments.deploy("app", "1.0", "QA").id
    house.apply(
        catalog(
            project("app", "true\n"),
            lifecycles=[{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
            freezes=[frozen(house)],
        )
    )
    house.deliver_all()
    assert (state(house, number), house.held()) == ("queued", {})
    house.clock.advance(2 * HOUR)
    house.calendar.look()
    house.deliver_all()
    assert state(house, number) == "succeeded"


class HastyClock(FakeClock):
    """An hour passes whenever somebody looks at it, once it runs."""

    running = False

    def now(self) -> datetime:
        if self.running:
            self.advance(HOUR)
        return super().now()


@pytest.mark.parametrize("after", range(1, 5))
def test_a_deployment_begins_at_an_instant_that_is_not_frozen(house: House, after: int) -> None:
    clock, key = HastyClock(), house.settings.master_key
    with House(house.settings.home, house.redis, clock, master_key=key) as hasty:
        begin = hasty.clock.now() + timedelta(hours=after)
        freeze = {"from": local(begin), "to": local(begin + timedelta(hours=1))}
        ready(hasty, freezes=[{"name": "break", **freeze}])
        number = hasty.deployments.deploy("app", "1.0", "QA").id
        clock.running = True
        while not (begun := hasty.phases.begin(number)):
            hasty.calendar.look()
        started = hasty.detail(number).deployment.started_at
        with hasty.database.read() as tx:
            freezes = Freezes.from_catalog(tx)
    assert begun
    assert started is not None
    assert freezes.hold("app", "QA", started) is None


def test_a_deployment_that_has_begun_goes_on_in_a_freeze(house: House) -> None:
    ready(house)
    number = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_chains()
    house.apply(
        catalog(
            project("app", "true\n"),
            lifecycles=[{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
            freezes=[frozen(house)],
        )
    )
    house.deliver_all()
    assert state(house, number) == "succeeded"


def test_a_scheduled_deployment_whose_time_falls_into_a_freeze_waits_for_its_end(
    house: House,
) -> None:
    ready(house, freezes=[frozen(house, hours=3)])
    at = house.clock.now() + timedelta(hours=1)
    number = house.deployments.deploy("app", "1.0", "QA", Terms(not_before=at)).id
    house.clock.advance(HOUR)
    house.calendar.look()
    assert house.detail(number).deployment.frozen_by == "break"
    house.clock.advance(2 * HOUR)
    house.calendar.look()
    house.deliver_all()
    assert state(house, number) == "succeeded"


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-27T16:59", None),  # Friday, an hour before six in Vienna
        ("2026-11-27T17:00", "2026-11-30T07:00"),
        ("2026-11-29T12:00", "2026-11-30T07:00"),
        ("2026-11-30T07:00", None),
    ],
)
def test_a_freeze_may_come_again_every_week_in_its_own_time_zone(
    now: str, until: str | None
) -> None:
    weekends = {
        "name": "weekends",
        "cron": "0 18 * * FRI",
        "lasts_seconds": 62 * HOUR,
        "time_zone": "Europe/Vienna",
    }
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    hold = Freezes([weekends]).hold("app", "QA", moment)
    expected = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None
    assert (hold.until if hold else None) == expected


def test_a_freeze_covers_what_it_names_and_of_several_the_longest_counts() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    short = {"name": "short", "from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}
    long = {**short, "name": "long", "to": "2026-01-03T00:00", "projects": ["app-[1:2]"]}
    freezes = Freezes([short, {**long, "environments": ["QA"]}])
    assert [
        hold.name if (hold := freezes.hold(p, e, now)) else None
        for p, e in (("app-1", "QA"), ("app-3", "QA"), ("app-1", "Staging"))
    ] == ["long", "short", "short"]


def test_a_freeze_that_comes_once_is_on_the_clocks_of_its_time_zone() -> None:
    once = {"name": "once", "from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}
    freezes = Freezes([{**once, "time_zone": "America/New_York"}])
    begin = datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert freezes.hold("app", "QA", begin - timedelta(seconds=1)) is None
    for moment in (begin, begin + timedelta(hours=24, seconds=-1)):
        hold = freezes.hold("app", "QA", moment)
        assert hold is not None
        assert hold.until == begin + timedelta(hours=24)
    assert freezes.hold("app", "QA", begin + timedelta(hours=24)) is None


def test_a_freeze_that_never_ends_is_told_to_hold_for_a_year(house: House) -> None:
    always = {"name": "x", "cron": "0 * * * *", "lasts_seconds": 2 * HOUR}
    hold = Freezes([always]).hold("app", "QA", house.clock.now())
    assert hold is not None
    assert hold.until > house.clock.now() + timedelta(days=300)


# ---- again and again ----


def nightly(**more: Any) -> dict[str, Any]:
    return {"name": "nightly", "project": "app", "environment": "QA", "cron": "0 2 * * *", **more}


def look(house: House, seconds: float) -> None:
    house.clock.advance(seconds)
    house.schedules.look()
    house.calendar.look()
    house.deliver_all()


def test_a_schedule_deploys_the_latest_release_each_time_once(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    assert house.queries.deployments() == []
    look(house, 24 * HOUR)
    look(house, 1)
    (deployed,) = house.queries.deployments()
    assert (deployed.requested_by, deployed.version) == ("schedule nightly", "1.0")
    look(house, 24 * HOUR)
    assert len(house.queries.deployments()) == 2


def test_times_that_passed_while_nobody_looked_are_one(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    look(house, 10 * 24 * HOUR)
    assert len(house.queries.deployments()) == 1


def test_two_who_look_at_once_deploy_once(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    with house.neighbour() as other:
        house.clock.advance(24 * HOUR)
        house.schedules.look()
        other.schedules.look()
    assert len(house.queries.deployments()) == 1


def test_of_two_who_see_at_once_that_a_schedule_is_due_one_deploys(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    with house.neighbour() as other:
        house.clock.advance(24 * HOUR)

        def first() -> None:
            other.schedules.look()
            other.deliver_all()

        house.database.beforehand["recur"] = first
        house.schedules.look()
        assert not house.database.beforehand, "the other one came between"
    assert len(house.queries.deployments()) == 1


def test_times_that_passed_are_one_however_often_somebody_looks_afterwards(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    look(house, 5 * 24 * HOUR)
    for _ in range(3):
        look(house, 1)
    assert len(house.queries.deployments()) == 1


def test_a_freeze_holds_what_a_schedule_asks_for_and_does_not_skip_it(house: House) -> None:
    ready(house, schedules=[nightly()], freezes=[frozen(house, hours=48)])
    house.schedules.look()
    look(house, 24 * HOUR)
    (held,) = house.queries.deployments()
    assert (held.state.value, held.frozen_by) == ("queued", "break")
    look(house, 24 * HOUR)
    assert state(house, held.id) == "succeeded"


def test_a_schedule_that_cannot_deploy_is_told_and_tried_again_next_time(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ready(house, schedules=[nightly(release="9.9")])
    house.schedules.look()
    look(house, 24 * HOUR)
    assert "schedule nightly is left out this time" in caplog.text
    assert house.queries.deployments() == []


def test_a_schedule_that_was_changed_counts_from_now(house: House) -> None:
    ready(house, schedules=[nightly()])
    house.schedules.look()
    ready_again = nightly(cron="0 0 1 1 *")
    house.apply(
        catalog(
            project("app", "true\n"),
            lifecycles=[{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
            schedules=[ready_again],
        )
    )
    look(house, 25 * HOUR)
    assert house.queries.deployments() == []


def test_while_the_one_from_the_time_before_waits_a_schedule_asks_for_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ready(house, schedules=[nightly()], freezes=[frozen(house, hours=5 * 24)])
    house.schedules.look()
    for _ in range(4):
        look(house, 24 * HOUR)
    (held,) = house.queries.deployments()
    assert f"dep-{held.id}, from the time before, still waits" in caplog.text
    look(house, 24 * HOUR)
    look(house, 24 * HOUR)
    assert [d.state.value for d in house.queries.deployments()] == ["succeeded"] * 2


def test_the_latest_release_of_a_schedule_is_the_latest_that_may_enter(house: House) -> None:
    phases = [{"name": "QA", "automatic": ["QA"]}, {"name": "P", "manual": ["P"]}]
    house.apply(
        catalog(
            project("app", "test $DEPLOYENGINE_RELEASE != 2.0\n"),
            environments=["QA", "P"],
            machines=[machine("qa-1", "QA"), machine("p-1", "P")],
            lifecycles=[{"name": "auto", "phases": phases}],
            schedules=[nightly(environment="P")],
        )
    )
    for version in ("1.0", "2.0"):  # 2.0 fails in QA
        house.create("app", version)
        house.deliver_all()
    house.schedules.look()
    look(house, 24 * HOUR)
    (deployed,) = house.queries.deployments(environment="P")
    assert (deployed.version, deployed.state) == ("1.0", "succeeded")


def test_what_was_let_in_and_has_not_begun_by_its_expiry_never_begins(house: House) -> None:
    """Housekeeping was away: what it then looks at first is no matter."""
    ready(house)
    soon = house.clock.now() + timedelta(minutes=10)
    number = house.deployments.deploy("app", "1.0", "QA", Terms(expires_at=soon)).id
    house.clock.advance(HOUR)
    house.deliver_all()
    deployment = house.detail(number).deployment
    assert (deployment.state, deployment.started_at) == ("cancelled", None)
    assert "not begun by" in (deployment.message or "")
    assert house.held() == {}


def test_a_newer_release_supersedes_when_its_time_has_come_not_when_it_is_asked_for(
    house: House,
) -> None:
    house.apply(
        catalog(
            project("app", "true\n", supersede=True),
            lifecycles=[{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
        )
    )
    for version in ("0.0", "1.0", "2.0"):
        house.releases.create(Wanted("app", version))
    house.deployments.deploy("app", "0.0", "QA")
    house.deliver_chains()
    older = house.deployments.deploy("app", "1.0", "QA").id
    soon = Terms(not_before=house.clock.now() + timedelta(seconds=30))
    newer = house.deployments.deploy("app", "2.0", "QA", soon).id
    assert state(house, older) == "queued"
    house.clock.advance(60)
    house.calendar.look()
    assert (state(house, older), state(house, newer)) == ("superseded", "queued")
    house.deliver_all()
    assert state(house, newer) == "succeeded"
    assert house.held() == {}


def test_a_newer_release_that_is_scheduled_keeps_no_older_one_from_being_promoted(
    house: House,
) -> None:
    phases = [{"name": each, "automatic": [each]} for each in ("QA", "S")]
    direct = [{"name": "S", "manual": ["S"]}]
    house.apply(
        catalog(
            project("app", "true\n", channels=[{"name": "hot", "lifecycle": "direct"}]),
            environments=["QA", "S"],
            machines=[machine("qa-1", "QA"), machine("s-1", "S")],
            lifecycles=[
                {"name": "auto", "phases": phases},
                {"name": "direct", "phases": direct},
            ],
        )
    )
    house.create("app", "1.0")
    house.deliver_chains()
    house.releases.create(Wanted("app", "2.0", "hot"))
    week = Terms(not_before=house.clock.now() + timedelta(days=7))
    house.deployments.deploy("app", "2.0", "S", week)
    house.deliver_all()
    there = {d.version: d.state.value for d in house.queries.deployments(environment="S")}
    assert there == {"1.0": "succeeded", "2.0": "queued"}


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_override_without_a_reason_is_refused_and_so_is_a_block(
    house: House, reason: str
) -> None:
    ready(house, freezes=[frozen(house)])
    with pytest.raises(NoReason, match="to override a freeze takes a reason"):
        house.deployments.deploy("app", "1.0", "QA", Terms(override_freeze=reason))
    with pytest.raises(NoReason, match="to block a release takes a reason"):
        house.releases.block("app", "1.0", "me", reason)
    assert house.queries.deployments() == []
