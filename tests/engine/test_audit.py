"""On record: what somebody changes, once, with the change or not at all, and no secret in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event as statements

from deployengine.domain.audit import Action, Event, verify
from deployengine.domain.errors import RequestError
from deployengine.engine.audit import ENGINE
from deployengine.engine.batches import Row
from deployengine.engine.intake import Terms
from deployengine.engine.questions import CHOICES, Answer
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step, three_stages
from tests.support.fakes import House

SECRET = "wholly-5ecret"
MANUAL = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]


def events(house: House, *but: Action) -> list[Event]:
    """All of them in order; without the first, which is that of the catalog."""
    found = [entry.event for entry in reversed(house.audit_trail.latest(1000))]
    assert house.audit_trail.verify().broken is None
    return [event for event in found[1:] if event is not None and event.action not in but]


def actions(house: House) -> list[str]:
    return [event.action for event in events(house)]


def test_every_answer_has_an_action_of_its_own() -> None:
    for answers in CHOICES.values():
        assert {f"answer.{answer}" for answer in answers} <= set(Action)


def test_a_batch_of_many_releases_is_one_event_that_names_them(house: House) -> None:
    names = [f"app-{number}" for number in range(20)]
    house.apply(catalog(*(project(name, "true\n") for name in names), lifecycles=MANUAL))
    house.releases.create(Wanted("app-3", "1.0"))
    house.batches.run([Row(Wanted(name, "1.0")) for name in names], "nightly", "alice")
    house.batches.run([Row(Wanted(name, "1.0")) for name in names], "nightly", "bob")
    _, batch = events(house)
    assert (batch.who, batch.action, batch.subject) == ("alice", "batch.run", "batch nightly")
    assert batch.after is not None
    assert batch.after["there_before"] == ["app-3 1.0"]
    assert batch.after["created"] == [f"{name} 1.0" for name in names if name != "app-3"]


def test_a_batch_that_is_cancelled_is_on_record_with_each_of_its_deployments(house: House) -> None:
    house.apply(catalog(project("a", "true\n"), project("b", "true\n")))
    house.batches.run([Row(Wanted(name, "1.0")) for name in ("a", "b")], "nightly")
    house.batches.cancel("nightly", "alice")
    house.batches.cancel("nightly", "bob")
    found = [(e.who, e.action, e.subject, e.reason) for e in events(house)[1:]]
    assert found == [
        ("alice", "batch.cancel", "batch nightly", None),
        ("alice", "deployment.cancel", "dep-2", "all of batch nightly"),
        ("alice", "deployment.cancel", "dep-1", "all of batch nightly"),
    ]


def test_what_the_lifecycle_does_by_itself_is_no_event(house: House) -> None:
    house.apply(three_stages(project("app", "true\n")))
    house.releases.create(Wanted("app", "1.0"), "alice")
    house.deliver_all()
    assert len(house.queries.deployments()) == 3
    assert actions(house) == ["release.create"]


def test_a_deployment_that_the_bypass_lets_share_machines_is_on_record_each_time(
    house: House,
) -> None:
    variables = [bypassing("True", environments=["QA", "Production"])]
    process = [step("true\n", "Install"), step("true\n", "Check", touches=["iis"])]
    house.apply(three_stages(project("app", process=process, variables=variables)))
    house.releases.create(Wanted("app", "1.0"), "alice")
    house.deliver_all()
    found = events(house, Action.RELEASE_CREATE)
    assert [(e.who, e.action, e.subject) for e in found] == [
        (ENGINE, "mutex.bypass", "dep-1"),
        (ENGINE, "mutex.bypass", "dep-3"),
    ]
    assert found[1].after == {
        "release": "app 1.0",
        "environment": "Production",
        "steps": {"Install": 4},
        "machines": 4,
    }


def test_who_asks_for_a_deployment_with_the_bypass_is_who_bypasses(house: House) -> None:
    variables = [bypassing("True")]
    house.apply(catalog(project("app", "true\n", variables=variables), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"), "alice")
    house.deployments.deploy("app", "1.0", "QA", Terms(requested_by="bob"))
    assert [(e.who, e.action) for e in events(house)] == [
        ("alice", "release.create"),
        ("bob", "mutex.bypass"),
        ("bob", "release.deploy"),
    ]


def test_steps_that_say_what_they_touch_and_manual_ones_bypass_nothing(house: House) -> None:
    process = [
        step("true\n", "Install", touches=["iis"]),
        {"name": "Approve", "kind": "manual", "instructions": "look"},
        step("true\n", "Elsewhere", environments=["Staging"]),
    ]
    variables = [bypassing("True", steps=["Install", "Elsewhere"])]
    app = project("app", process=process, variables=variables)
    house.apply(
        catalog(
            app,
            environments=["QA", "Staging"],
            machines=[machine("qa-1", "QA"), machine("stg-1", "Staging")],
        )
    )
    house.create("app")
    assert actions(house) == ["release.create"]


APP = catalog(project("app", "true\n"))
NOTHING: dict[str, Callable[[House], object]] = {
    "the same catalog": lambda house: house.apply(APP),
    "the same release": lambda house: house.releases.create(Wanted("app", "1.0")),
    "a cancel of what has ended": lambda house: house.deployments.cancel(1),
    "a cancel of a run that has ended": lambda house: house.deployments.cancel_run(1),
    "a release that was not blocked": lambda house: house.releases.unblock("app", "1.0"),
    "the same priority": lambda house: house.order.prioritise(2, 0),
    "an unknown project": lambda house: house.releases.create(Wanted("nobody", "1.0")),
    "an unknown environment": lambda house: house.deployments.deploy("app", "1.0", "Nowhere"),
    "an unknown release": lambda house: house.deployments.deploy("app", "9.9", "QA"),
    "a wrong batch": lambda house: house.batches.run([Row(Wanted("nobody", "1.0"))], "nightly"),
    "an unknown deployment": lambda house: house.deployments.cancel(99),
    "an answer that nobody asked for": lambda house: house.answers.answer(1, Answer.FAIL, "ann"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_changes_nothing_or_is_refused_is_no_event(house: House, name: str) -> None:
    house.apply(APP)
    house.create("app")
    house.deliver_all()
    house.deployments.deploy("app", "1.0", "QA")
    before = len(events(house))
    with suppress(RequestError):
        NOTHING[name](house)
    assert len(events(house)) == before


def test_cancelling_again_what_is_being_cancelled_is_no_further_event(house: House) -> None:
    house.apply(APP)
    house.create("app")
    house.deliver_chains()
    house.deployments.cancel(1, "alice")
    house.deployments.cancel(1, "bob")
    (cancelled,) = events(house, Action.RELEASE_CREATE)
    assert (cancelled.who, cancelled.before, cancelled.after) == (
        "alice",
        {"state": "running"},
        {"state": "running"},
    )


def secretive(value: str, **more: Any) -> dict[str, Any]:
    variables = [{"name": "Token", "value": value, "sensitive": True, **more}]
    return catalog(project("app", "true\n", variables=variables))


def test_no_secret_comes_on_record(house: House) -> None:
    plain = {"sensitive": False}
    for there in (secretive("x"), secretive(SECRET), secretive("y"), secretive(SECRET, **plain)):
        house.apply(there)
    assert SECRET in repr(events(house)[-1]), "it was none then, as everybody could see it"
    for there in (secretive(SECRET), catalog(project("app", "true\n")), secretive(SECRET)):
        house.apply(there)
        house.create("app", str(len(events(house))))
        assert SECRET not in repr(events(house)[-2:])
        assert "cipher" not in repr(events(house)[-2:])


def test_what_a_catalog_changed_is_on_record_as_it_was_shown(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    house.apply(catalog(project("app", "false\n"), environments=["QA", "Staging"]))
    (applied,) = events(house)
    assert applied.subject == "catalog"
    assert applied.after == {
        "added": [{"kind": "environment", "name": "Staging"}],
        "changed": [
            {
                "kind": "project",
                "name": "app",
                "changes": [{"path": "process[Install].script", "old": "true\n", "new": "false\n"}],
            }
        ],
        "removed": [],
    }


def test_an_event_costs_two_statements_more(house: House) -> None:
    house.apply(catalog(project("app", "true\n"), lifecycles=MANUAL))
    sent: list[str] = []
    statements.listen(
        house.database.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, *_: sent.append(statement),
    )
    house.releases.create(Wanted("app", "1.0"))
    assert sum("audit_event" in statement for statement in sent) == 2


def test_a_long_name_and_odd_values_are_kept_as_they_are_read(house: House) -> None:
    house.apply(catalog(project("app", "true\n"), lifecycles=MANUAL))
    house.batches.run([Row(Wanted("app", "1.0"))], "n" * 255, "w" * 300)
    (batch,) = events(house)
    assert (len(batch.subject), len(batch.who)) == (255, 255)
    assert verify(reversed(house.audit_trail.latest(10))).broken is None


def test_the_trail_is_checked_page_by_page_with_its_progress_told(house: House) -> None:
    house.apply(catalog(project("app", "true\n"), lifecycles=MANUAL))
    with house.database.write() as tx:
        for number in range(1100):
            tx.audit.add(Event(house.clock.now(), "alice", "release.create", f"release {number}"))
    told: list[int] = []
    verdict = house.audit_trail.verify(None, told.append)
    assert (verdict.entries, told) == (1101, [500, 1000, 1101])
