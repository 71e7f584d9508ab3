"""Transactions that meet on PostgreSQL wait for each other in one order, so that none is undone.

Rows of deployments by their ids, then the release, the counters, runs by their ids, and the state
of one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deployengine.domain.availability import MachineMode
from deployengine.engine.batches import Row
from deployengine.engine.intake import Terms
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import SHORT, catalog, machine, project, step
from tests.engine.test_order import MANUAL, claimed
from tests.persistence.test_put_back_and_cancel import Meeting
from tests.support.fakes import House
from tests.support.machines import NetworkedHouse
from tests.support.postgres import PostgresServer

#: Has the first one held at this statement, and says what both came to.
Meet = Callable[[Callable[[], Any], Callable[[], Any], str], tuple[Any, Any]]


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database()


@pytest.fixture
def house(url: str, tmp_path: Path, fake_redis: Redis) -> Iterator[NetworkedHouse]:
    with NetworkedHouse(tmp_path / "home", fake_redis, database_url=url) as house:
        house.handoff.rebuild()
        yield house


@pytest.fixture
def meet(postgres_server: PostgresServer, url: str, house: House) -> Meet:
    def bring(first: Callable[[], Any], second: Callable[[], Any], statement: str) -> Any:
        meeting = Meeting(postgres_server, url, second)
        return meeting.bring_about(first, house.database, statement)

    return bring


def test_a_success_and_somebody_who_deploys_the_same_release(house: House, meet: Meet) -> None:
    phases = [
        {"name": "QA", "automatic": ["QA"], "manual": ["Lab"], "minimum": 1},
        {"name": "S", "automatic": ["S"]},
    ]
    house.apply(
        catalog(
            project("app", SHORT),
            environments=["QA", "Lab", "S"],
            machines=[machine(f"{e}-1", e) for e in ("QA", "Lab", "S")],
            lifecycles=[{"name": "auto", "phases": phases}],
        )
    )
    number = house.create("app").id
    house.deliver_chains()
    house.deliver_runs()
    meet(
        lambda: house.phases.finish(number),
        lambda: house.deployments.deploy("app", "1.0", "Lab"),
        r"SELECT release.id FROM release WHERE .* FOR NO KEY UPDATE",
    )
    house.deliver_all()
    assert [d.state.value for d in house.queries.deployments()] == ["succeeded"] * 3


def test_two_that_supersede_in_one_environment(house: House, meet: Meet) -> None:
    lifecycles = [
        {
            "name": "auto",
            "phases": [{"name": e, "automatic": [e]} for e in ("QA", "S")],
        },
        {"name": "direct", "phases": [{"name": "S", "manual": ["S"]}]},
    ]
    house.apply(
        catalog(
            project(
                "app", SHORT, supersede=True, channels=[{"name": "hot", "lifecycle": "direct"}]
            ),
            environments=["QA", "S"],
            machines=[machine("qa-1", "QA"), machine("s-1", "S")],
            lifecycles=lifecycles,
        )
    )
    for version in ("0.0", "1.0", "2.0"):  # 0.0 runs in S, 1.0 waits for it, 2.0 is about to
        house.create("app", version)
        house.deliver_chains()
        house.deliver_runs()
        if version == "0.0":
            house.deliver_chains()
            claimed(house)
        elif version == "1.0":
            house.deliver_chains()
    house.releases.create(Wanted("app", "3.0", "hot"))
    (about_to,) = [d for d in house.queries.deployments() if d.version == "2.0"]
    meet(
        lambda: house.deployments.deploy("app", "3.0", "S"),
        lambda: house.phases.finish(about_to.id),
        r"UPDATE deployment SET state=.* RETURNING deployment.id",
    )
    there = {d.version: d.state.value for d in house.queries.deployments(environment="S")}
    assert (there["1.0"], there["3.0"]) == ("superseded", "queued")


def test_a_batch_and_a_release_that_supersede(house: House, meet: Meet) -> None:
    house.apply(catalog(*(project(name, SHORT, supersede=True) for name in "ab")))
    for version in ("0.0", "1.0"):
        for name in "ab":
            house.create(name, version)
        house.deliver_chains()
    rows = [Row(Wanted("b", "2.0")), Row(Wanted("a", "2.0"))]
    meet(
        lambda: house.batches.run(rows, "both"),
        lambda: house.create("a", "3.0"),
        r"UPDATE counter SET value",
    )
    states = {(d.project, d.version): d.state.value for d in house.queries.deployments()}
    assert [states[name, "1.0"] for name in "ab"] == ["superseded"] * 2
    assert states["a", "3.0"] == "queued"


def test_the_calendar_and_somebody_who_changes_a_priority(house: House, meet: Meet) -> None:
    house.apply(catalog(project("app", SHORT), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    soon = Terms(not_before=house.clock.now() + timedelta(minutes=1))
    number = house.deployments.deploy("app", "1.0", "QA", soon).id
    house.clock.advance(120)
    meet(
        lambda: house.order.prioritise(number, 3),
        house.calendar.look,
        r"SELECT .* FROM deployment WHERE .* FOR UPDATE",
    )
    house.calendar.look()
    deployment = house.detail(number).deployment
    assert (deployment.priority, deployment.ticket is None) == (3, False)


def test_grants_that_are_taken_back_and_somebody_who_cancels(house: House, meet: Meet) -> None:
    """Run 9 comes before run 10, also where names are sorted."""
    house.apply(
        catalog(
            project("other", process=[step("true\n", roles=["x"])]),
            *(project(name, process=[step("true\n", roles=["y"])]) for name in ("app", "fix")),
            machines=[
                machine("x-[1:8]", "QA", roles=["x"]),
                machine("y-[1:2]", "QA", roles=["y"]),
            ],
            lifecycles=MANUAL,
        )
    )
    for name in ("other", "app", "fix"):
        house.releases.create(Wanted(name, "1.0"))
    house.deployments.deploy("other", "1.0", "QA")
    number = house.deployments.deploy("app", "1.0", "QA").id
    house.deliver_chains()
    assert [run.id for run in house.detail(number).runs] == [9, 10]
    house.deployments.deploy("fix", "1.0", "QA", Terms(priority=1))
    meet(
        house.deliver_chains,
        lambda: house.deployments.cancel(number),
        r"UPDATE step_run SET recalled",
    )
    house.deliver_all()
    assert house.detail(number).deployment.state == "cancelled"


def test_no_two_of_one_tag_begin_at_once_whatever_redis_has_let_in(
    house: House, meet: Meet
) -> None:
    house.apply(catalog(project("app", SHORT), lifecycles=MANUAL))
    house.releases.create(Wanted("app", "1.0"))
    soon = Terms(priority=5, not_before=house.clock.now() + timedelta(minutes=1))
    late = house.deployments.deploy("app", "1.0", "QA", soon).id
    first = house.deployments.deploy("app", "1.0", "QA").id
    house.clock.advance(120)

    def comes_in_before_it() -> bool:
        house.calendar.look()
        return house.phases.begin(late)

    meet(lambda: house.phases.begin(first), comes_in_before_it, r"UPDATE deployment SET state")
    states = [house.detail(number).deployment.state.value for number in (late, first)]
    assert states.count("running") == 1


# ---- machines that come and go ----

TWO = [machine("m-[1:2]", "QA")]
SLOW = step(SHORT, "One"), step(SHORT, "Two")


def under_way(house: NetworkedHouse, policy: str = "wait") -> int:
    """A deployment to two machines, whose first runs are granted."""
    app = project("app", process=list(SLOW), unavailable_machines=policy)
    house.apply(catalog(app, machines=TWO))
    number = house.create("app").id
    house.deliver_chains()
    return number


def granted(house: NetworkedHouse, name: str) -> Any:
    """The run on a machine, taken out of the queue."""
    found = {run.label.split()[-1]: run for run in house.dispatcher.granted}[name]
    house.dispatcher.granted.remove(found)
    return found


@pytest.mark.parametrize(
    "statement",
    [
        r"SELECT .* FROM deployment .* FOR UPDATE",
        r"UPDATE step_run SET state=.*RETURNING",
        r"INSERT INTO absence",
    ],
)
@pytest.mark.parametrize("meets", ["a claim", "a cancel", "an end", "itself", "who misses it"])
def test_a_machine_that_is_disabled_meets(
    house: NetworkedHouse, meet: Meet, statement: str, meets: str
) -> None:
    number = under_way(house)
    run = granted(house, "m-2")
    running = None
    if meets == "who misses it":
        running = house.step_runs.claims.claim(run.run_id, run.granted_at, house.lease.name)
    acts: dict[str, Callable[[], Any]] = {
        "a claim": lambda: house.execute(run),
        "who misses it": lambda: house.step_runs._absence.met(running, "away"),  # type: ignore[arg-type]
        "a cancel": lambda: house.deployments.cancel(number),
        "an end": lambda: house.deliver_runs(),
        "itself": lambda: house.machines.set_mode(["m-2"], MachineMode.DISABLED, None, "bob"),
    }
    meet(
        lambda: house.machines.set_mode(["m-2"], MachineMode.DISABLED, None, "ada"),
        acts[meets],
        statement,
    )
    house.recovery.sweep()
    house.deliver_all()
    ended = house.detail(number).deployment
    assert ended.state == ("cancelled" if meets == "a cancel" else "succeeded"), ended.message
    assert house.held() == {}


@pytest.mark.parametrize("policy", ["skip", "wait"])
@pytest.mark.parametrize("meets", ["a cancel", "a machine that is disabled"])
def test_a_run_that_is_turned_away_meets(
    house: NetworkedHouse, meet: Meet, policy: str, meets: str
) -> None:
    number = under_way(house, policy)
    house.network.cut("m-2")
    run = granted(house, "m-2")
    acts: dict[str, Callable[[], Any]] = {
        "a cancel": lambda: house.deployments.cancel(number),
        "a machine that is disabled": lambda: house.machines.set_mode(
            ["m-2"], MachineMode.DISABLED, None, "ada"
        ),
    }
    meet(lambda: house.execute(run), acts[meets], r"UPDATE step_run SET state=.*(awaits|finished)")
    house.deliver_all()
    assert house.detail(number).deployment.state.final
    assert house.held() == {}


def test_what_waits_for_a_machine_that_is_back_meets_somebody_who_disables_it(
    house: NetworkedHouse, meet: Meet
) -> None:
    house.network.cut("m-2")
    number = under_way(house)
    house.deliver_all()
    house.health_checks.on_return = lambda: None
    house.network.mend("m-2")
    house.check("m-2")
    meet(
        house.calendar.look,
        lambda: house.machines.set_mode(["m-2"], MachineMode.DISABLED, None, "ada"),
        r"UPDATE step_run SET state=",
    )
    house.deliver_all()
    assert house.detail(number).deployment.message == "without m-2"
    assert house.held() == {}


def test_of_two_who_have_a_machine_catch_up_at_once_one_does(
    house: NetworkedHouse, meet: Meet
) -> None:
    house.network.cut("m-2")
    under_way(house, "skip")
    house.deliver_all()
    house.health_checks.on_return = lambda: None
    house.network.mend("m-2")
    house.check("m-2")
    first, second = meet(house.catching_up.look, house.catching_up.look, r"DELETE FROM absence")
    assert (len(first), second) == (1, [])


def test_two_who_find_a_machine_out_of_reach_at_once(house: NetworkedHouse, meet: Meet) -> None:
    under_way(house, "skip")
    house.network.cut("m-1", "m-2")
    one, two = granted(house, "m-1"), granted(house, "m-2")
    meet(
        lambda: house.execute(one),
        lambda: house.execute(two),
        r"SELECT .* FROM deployment .* FOR UPDATE",
    )
    house.deliver_all()
    assert house.detail(1).deployment.state == "failed"
    assert house.held() == {}
