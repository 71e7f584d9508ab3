"""What people look at: queries, progress, the roll of workers; and what is read once and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import GaveUpWaiting, UnknownName
from deployengine.engine.archive import Archive
from deployengine.engine.batches import Row
from deployengine.engine.patience import looks
from deployengine.engine.progress import ProgressView
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project, three_stages
from tests.support.fakes import House

# ---- queries ----


def test_a_deployment_shows_which_of_its_runs_are_granted(house: House) -> None:
    house.apply(catalog(project("one", "true\n"), project("two", "true\n")))
    first, second = house.create("one").id, house.create("two").id
    house.deliver_chains()
    (run,) = house.detail(first).runs
    assert (run.state, run.granted_at is not None) == (RunState.GRANTED, True)
    (run,) = house.detail(second).runs
    assert (run.state, run.granted_at) == (RunState.WAITING, None)
    assert house.queries.granted_runs() == [1]


def test_a_release_shows_its_deployments_the_oldest_first(house: House) -> None:
    house.apply(three_stages(project("app", "true\n")))
    house.create("app")
    house.deliver_all()
    shown = house.queries.release("app", "1.0")
    assert [d.environment for d in shown.deployments] == ["QA", "Staging", "Production"]
    assert shown.state == "succeeded"
    assert house.queries.step_names([1, 2]) == {1: ("Install",), 2: ("Install",)}


def test_the_locks_of_one_machine_are_its_own_and_those_of_what_is_on_it(house: House) -> None:
    touching = {"touches": ["iis", {"resource": "billing", "everywhere": True}]}
    process = [{"name": "Install", "kind": "script", "script": "true\n", **touching}]
    machines = [machine("qa-1", "QA"), machine("qa-10", "QA")]
    house.apply(catalog(project("app", process=process), machines=machines))
    house.create("app")
    house.deliver_chains()
    found = [view.resource for view in house.queries.locks("qa-1")]
    assert found == ["machine:qa-1", "resource:qa-1/iis"]
    house.deliver_all()
    assert house.queries.locks("qa-1") == []
    with pytest.raises(UnknownName, match="did you mean 'qa-1"):
        house.queries.locks("qa-2")


Ask = Callable[[House], object]

UNKNOWN: dict[str, tuple[Ask, str]] = {
    "deployment": (lambda h: h.queries.deployment(9), "there is no deployment 'dep-9'"),
    "run": (lambda h: h.queries.run(9), "there is no step run 'run-9'"),
    "project": (lambda h: h.queries.variables("ap"), "no project 'ap'; did you mean 'app'"),
    "environment": (
        lambda h: h.queries.variables("app", environment="Qa"),
        "no environment 'Qa'; did you mean 'QA'",
    ),
    "machine": (
        lambda h: h.queries.variables("app", machine="qa1"),
        "no machine 'qa1'; did you mean 'qa-1'",
    ),
    "step": (
        lambda h: h.queries.variables("app", step="Instal"),
        "no step of app 'Instal'; did you mean 'Install'",
    ),
    "channel": (lambda h: h.queries.variables("app", channel="x"), "no channel of app 'x'"),
    "release": (lambda h: h.queries.release("app", "2"), "no release of app with version '2'"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_there_is_unknown_by_name(house: House, name: str) -> None:
    house.apply(catalog(project("app", "true\n")))
    ask, said = UNKNOWN[name]
    with pytest.raises(UnknownName) as told:
        ask(house)
    assert said in str(told.value)


def test_the_winning_value_of_each_variable_is_shown_for_a_place(house: House) -> None:
    variables = [
        {"name": "Colour", "value": "blue"},
        {"name": "Colour", "value": "red", "scope": {"machines": ["qa-1"]}},
        {"name": "Token", "value": "hush", "sensitive": True},
        {"name": "Both", "value": "#{Colour} and #{Token}"},
        {"name": "Greeting", "value": "#{Colour} from #{Octopus.Machine.Name}"},
    ]
    house.apply(catalog(project("app", "true\n", variables=variables)))
    found = {v.winner.name: v for v in house.queries.variables("app", machine="qa-1")}
    assert (found["Colour"].shown, found["Colour"].winner.source) == ("red", "project app")
    assert found["Token"].shown == "********"
    assert found["Both"].shown == "********", "made from a sensitive value"
    assert found["Greeting"].shown == "red from qa-1"
    assert "hush" not in repr(found)
    found = {v.winner.name: v for v in house.queries.variables("app")}
    assert found["Colour"].shown == "blue"


def test_a_value_scoped_to_a_phase_wins_where_the_environment_is_of_it(house: House) -> None:
    variables = [
        {"name": "P", "value": "plain"},
        {"name": "P", "value": "phased", "scope": {"phases": ["QA"]}},
    ]
    house.apply(catalog(project("app", "true\n", variables=variables)))
    (found,) = [v for v in house.queries.variables("app", "QA") if v.winner.name == "P"]
    assert found.shown == "phased"


# ---- progress ----


def test_progress_tells_what_runs_and_what_waits_for_what_and_what_is_to_come(
    house: House,
) -> None:
    house.apply(three_stages(project("one", "true\n"), project("two", "true\n")))
    house.batches.run([Row(Wanted("one", "1")), Row(Wanted("two", "1"))], "nightly")
    begun = house.batches.progress("nightly")
    view = ProgressView(house.database, house.archive, house.queries, begun)
    house.deliver_chains()
    seen = view.look(task_cap=5)
    assert [(e.environment, e.expected) for e in seen.environments] == [
        ("QA", 2),
        ("Staging", 4),
        ("Production", 8),
    ]
    qa = seen.environments[0]
    assert (qa.count(RunState.GRANTED), qa.count(RunState.WAITING), qa.ended) == (1, 1, 0)
    assert seen.seconds_left is None, "nothing has ended yet"
    house.deliver_all()
    seen = view.look(task_cap=5)
    assert [e.ended for e in seen.environments] == [2, 4, 8]
    assert seen.seconds_left == 0


def test_an_approval_is_one_run_that_asks_and_neither_waits_nor_fails(house: House) -> None:
    process = [
        {"name": "Approve", "kind": "manual", "instructions": "look"},
        {"name": "Install", "kind": "script", "script": "true\n"},
    ]
    house.apply(catalog(project("one", process=process), machines=[machine("qa-[1:3]", "QA")]))
    house.batches.run([Row(Wanted("one", "1"))], "nightly")
    begun = house.batches.progress("nightly")
    view = ProgressView(house.database, house.archive, house.queries, begun)
    house.deliver_all()
    (qa,) = view.look(task_cap=5).environments
    assert (qa.expected, qa.ended, qa.asking) == (4, 0, 1)
    assert dict(qa.counts) == {RunState.PENDING: 3, RunState.WAITING: 0}


def test_progress_expects_no_environment_that_nothing_goes_to_by_itself(house: House) -> None:
    by_hand = [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}]
    house.apply(catalog(project("one", "true\n"), lifecycles=by_hand))
    house.batches.run([Row(Wanted("one", "1"))], "nightly")
    begun = house.batches.progress("nightly")
    view = ProgressView(house.database, house.archive, house.queries, begun)
    assert view.look(task_cap=5).environments == ()


# ---- the roll ----


def test_the_task_cap_is_that_of_all_workers_that_are_heard_of(house: House) -> None:
    with house.neighbour(task_cap=3) as a, house.neighbour(task_cap=4) as b:
        assert house.roll.task_cap() == 0
        a.lease.beat()
        b.lease.beat()
        assert house.roll.task_cap() == 7
        house.clock.advance(house.settings.lease)
        b.lease.beat()
        house.clock.advance(1)
        assert [worker.name for worker in house.roll.present()] == [b.lease.name]
        b.lease.leave()
        assert house.roll.present() == []


def test_a_worker_that_was_declared_lost_counts_no_more(house: House) -> None:
    house.lease.beat()
    with house.database.write() as tx:
        assert tx.workers.lose(house.lease.name, 0, house.clock.now())
    assert house.roll.task_cap() == 0


def test_the_task_cap_of_the_past_is_the_most_there_was_at_once(house: House) -> None:
    roll, begin = house.roll, house.clock.now()
    with house.neighbour(task_cap=3) as a:
        a.lease.beat()
        house.clock.advance(10)
        a.lease.leave()
    house.clock.advance(1)
    with house.neighbour(task_cap=4) as b, house.neighbour(task_cap=1) as c:
        b.lease.beat()
        c.lease.beat()
    middle = house.clock.now()
    assert roll.task_cap_during(begin, middle) == 5
    assert roll.task_cap_during(begin, begin) == 3
    house.clock.advance(100)
    assert roll.task_cap_during(house.clock.now(), house.clock.now()) is None


# ---- what is read once ----


def test_a_plan_is_read_once_and_kept(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    house.create("app")
    archive = Archive()
    with house.database.read() as tx:
        assert archive.plan(tx, 1) is archive.plan(tx, 1)
        assert archive.snapshot(tx, 1) is archive.snapshot(tx, 1)


def test_the_archive_keeps_what_was_used_last(house: House) -> None:
    house.apply(catalog(project("app", "true\n")))
    for version in ("1", "2", "3"):
        house.create("app", version)
    archive = Archive(size=2)
    with house.database.read() as tx:
        first, second = archive.plan(tx, 1), archive.plan(tx, 2)
        archive.plan(tx, 1)
        archive.plan(tx, 3)
        assert archive.plan(tx, 1) is first
        assert archive.plan(tx, 2) is not second


# ---- patience ----


def test_looking_goes_on_for_as_long_as_the_caller_asks(house: House) -> None:
    numbers = iter(range(3))
    assert next(looks(lambda: next(numbers), "nothing")) == 0


def test_who_gives_no_more_time_has_looked_once() -> None:
    seen: list[str] = []
    with pytest.raises(GaveUpWaiting, match="batch nightly after 0 s") as told:
        seen.extend(looks(lambda: "waiting", "batch nightly", timeout=0))
    assert seen == ["waiting"]
    assert told.value.exit_code == 4
