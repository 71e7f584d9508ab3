"""Looks at machines: what is kept of them, who looks when, and that nobody is held up by that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.errors import UnknownName, Unreachable
from deployengine.engine.health import LOOK_AGAIN, HealthChecks
from deployengine.persistence.records import MachineRecord
from tests.acceptance.catalogs import catalog, machine, project
from tests.engine.conftest import at_once
from tests.support.machines import NetworkedHouse

THREE = [machine("m-[1:3]", "QA")]
INTERVAL = 3600.0


@pytest.fixture
def house(tmp_path: Path, fake_redis: Redis) -> Iterator[NetworkedHouse]:
    """An engine whose machines come and go."""
    with NetworkedHouse(tmp_path / "home", fake_redis) as house:
        house.handoff.rebuild()
        house.apply(catalog(project("app", "true\n"), machines=THREE))
        yield house


def known(house: NetworkedHouse, name: str) -> MachineRecord:
    with house.database.read() as tx:
        return tx.machines.get(name)


def looks(house: NetworkedHouse) -> dict[str, int]:
    return dict(house.network.looks)


def never_looked_at(house: NetworkedHouse) -> HealthChecks:
    """Looks that are not made now and then."""
    return HealthChecks(house.database, house._runner_of, house.clock, 0.0)


# ---- somebody asks ----


def test_a_look_tells_and_keeps_how_each_machine_was_found(house: NetworkedHouse) -> None:
    house.network.cut("m-2")
    assert house.check() == {"m-1": "healthy", "m-2": "unavailable", "m-3": "healthy"}
    now = house.clock.now()
    healthy, away = known(house, "m-1"), known(house, "m-2")
    assert (healthy.state, healthy.since, healthy.checked_at) == (Health.HEALTHY, now, now)
    assert healthy.facts is not None
    assert healthy.facts["platform"].startswith("Linux")
    assert set(healthy.facts) == {
        *("platform", "round_trip", "clock_difference", "free_bytes", "missing", "warnings"),
    }
    assert (away.state, away.message) == (
        Health.UNAVAILABLE,
        "m-2 does not answer: no route to host",
    )
    assert healthy.due_at == now + timedelta(seconds=INTERVAL)
    assert away.due_at == now + timedelta(seconds=LOOK_AGAIN)


def test_nobody_looks_at_a_machine_that_is_disabled_unless_it_is_named(
    house: NetworkedHouse,
) -> None:
    house.machines.set_mode(["m-1"], MachineMode.DISABLED, None, "ada")
    house.machines.set_mode(["m-2"], MachineMode.DRAINING, None, "ada")
    assert sorted(house.check()) == ["m-2", "m-3"]
    house.look_at_machines()
    assert "m-1" not in looks(house)
    assert house.check("m-1") == {"m-1": "healthy"}


def test_an_unknown_name_is_refused_before_anybody_looks(house: NetworkedHouse) -> None:
    with pytest.raises(UnknownName, match="did you mean 'm-1'"):
        house.check("m-2", "m-11")
    assert looks(house) == {}


def test_that_the_database_is_away_says_nothing_of_the_machines(house: NetworkedHouse) -> None:
    house.check()

    def away(_: object) -> object:
        raise Unreachable("the database", "there", "gone")

    house.health_checks._runner_of = away  # type: ignore[assignment]
    assert set(house.check().values()) == {"unknown"}
    assert known(house, "m-1").state is Health.HEALTHY


def test_a_machine_that_hangs_holds_up_nobody_and_counts_as_unavailable(
    house: NetworkedHouse,
) -> None:
    release = house.network.deafen("m-1")
    checks = HealthChecks(house.database, house._runner_of, house.clock, INTERVAL, patience=0.2)
    found = {each.machine: each for each in checks.check()}
    assert [found[name].state for name in ("m-2", "m-3")] == ["healthy", "healthy"]
    assert found["m-1"].message == "m-1 gave no answer within 0.2 s"
    assert known(house, "m-1").state is Health.UNAVAILABLE
    release.set()


# ---- now and then ----


def test_every_machine_is_looked_at_once_and_then_again_after_the_interval(
    house: NetworkedHouse,
) -> None:
    house.look_at_machines()
    house.look_at_machines()
    assert looks(house) == {"m-1": 1, "m-2": 1, "m-3": 1}
    house.clock.advance(INTERVAL - 1)
    house.look_at_machines()
    assert looks(house)["m-1"] == 1
    house.clock.advance(1)
    house.look_at_machines()
    assert looks(house) == {"m-1": 2, "m-2": 2, "m-3": 2}


def test_a_machine_that_could_not_be_used_is_looked_at_every_minute(
    house: NetworkedHouse,
) -> None:
    house.network.cut("m-2")
    house.look_at_machines()
    for expected in (2, 3):
        house.clock.advance(LOOK_AGAIN)
        house.look_at_machines()
        assert looks(house) == {"m-1": 1, "m-2": expected, "m-3": 1}
    house.network.mend("m-2")
    house.clock.advance(LOOK_AGAIN)
    house.look_at_machines()
    assert known(house, "m-2").state is Health.HEALTHY
    house.clock.advance(LOOK_AGAIN)
    house.look_at_machines()
    assert looks(house)["m-2"] == 4


def test_of_many_processes_one_looks_at_each_machine(house: NetworkedHouse) -> None:
    with house.neighbour() as other, house.neighbour() as third:
        for _ in range(2):
            at_once(*(each.health_checks.look for each in (house, other, third)))
            house.clock.advance(INTERVAL)
    assert looks(house) == {"m-1": 2, "m-2": 2, "m-3": 2}


def test_who_dies_after_it_has_taken_a_machine_leaves_it_to_the_next(
    house: NetworkedHouse,
) -> None:
    with house.database.write() as tx:
        until = house.clock.now() + timedelta(seconds=120)
        assert tx.machines.take("m-1", None, until)
    house.look_at_machines()
    assert "m-1" not in looks(house)
    house.clock.advance(120)
    house.look_at_machines()
    assert looks(house)["m-1"] == 1


def test_a_clock_that_goes_ahead_keeps_nobody_from_looking(house: NetworkedHouse) -> None:
    house.network.cut("m-2")
    house.check()
    with house.database.write() as tx:
        late = house.clock.now() + timedelta(days=30)
        tx.machines.found("m-1", Health.HEALTHY, late, late)
        tx.machines.found("m-2", Health.UNAVAILABLE, late, late, "away")
    house.look_at_machines()
    house.clock.advance(LOOK_AGAIN)
    house.look_at_machines()
    assert looks(house) == {"m-1": 1, "m-2": 2, "m-3": 1}
    house.clock.advance(INTERVAL)
    house.look_at_machines()
    assert looks(house)["m-1"] == 2


def test_without_an_interval_only_machines_that_could_not_be_used_are_looked_at(
    house: NetworkedHouse,
) -> None:
    checks = never_looked_at(house)
    checks.look()
    assert looks(house) == {}
    house.network.cut("m-2")
    list(checks.check(["m-1", "m-2"]))
    assert known(house, "m-1").due_at is None
    house.clock.advance(LOOK_AGAIN)
    checks.look()
    assert looks(house) == {"m-1": 1, "m-2": 2}
    house.network.mend("m-2")
    house.clock.advance(LOOK_AGAIN)
    checks.look()
    house.clock.advance(INTERVAL)
    checks.look()
    assert looks(house) == {"m-1": 1, "m-2": 3}
    house.machines.set_mode(["m-3"], MachineMode.DISABLED, None, "ada")
    house.machines.set_mode(["m-3"], MachineMode.ENABLED, None, "ada")
    checks.look()
    assert looks(house)["m-3"] == 1, "who is enabled is looked at first"


def test_a_round_goes_on_without_a_machine_that_hangs(house: NetworkedHouse) -> None:
    release = house.network.deafen("m-1")
    checks = HealthChecks(house.database, house._runner_of, house.clock, INTERVAL, patience=0.2)
    checks.look()
    assert [known(house, name).state for name in ("m-2", "m-3")] == ["healthy", "healthy"]
    assert known(house, "m-1").state is Health.UNAVAILABLE
    house.clock.advance(INTERVAL)
    checks.look()
    assert looks(house) == {"m-1": 1, "m-2": 2, "m-3": 2}, "one thread hangs on it, and no more"
    release.set()
    while known(house, "m-1").state is not Health.HEALTHY:
        checks.look()


def test_a_look_takes_no_place_in_line(house: NetworkedHouse) -> None:
    house.create("app")
    house.deliver_chains()
    before = house.held()
    house.look_at_machines()
    assert house.held() == before
    house.deliver_all()
    assert house.detail(1).deployment.state == "succeeded"
