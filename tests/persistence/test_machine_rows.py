"""Machines: how they were found, what people want of them, who went without them, whom we trust."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import DeploymentState
from deployengine.persistence import Conflict, Database
from deployengine.persistence.records import AbsenceRecord, MachineRecord, TrustedKey
from tests.persistence.conftest import NOW, add_deployment, add_release, at_once, later

QUEUED = DeploymentState.QUEUED
FACTS = {"platform": "Linux", "free_bytes": 5_000_000_000_000}


def test_a_machine_that_nobody_has_looked_at_is_enabled_and_of_unknown_health(
    database: Database,
) -> None:
    with database.read() as tx:
        assert tx.machines.get("m-1") == MachineRecord("m-1")
        assert tx.machines.all() == {}


def test_how_a_machine_was_found_is_kept_with_the_instant_since_when_it_is_so(
    database: Database,
) -> None:
    with database.write() as tx:
        tx.machines.found("m-1", Health.HEALTHY, NOW, later(60), facts=FACTS)
        tx.machines.found("m-1", Health.HEALTHY, later(10), later(70), facts=FACTS)
        found = tx.machines.get("m-1")
        assert (found.since, found.checked_at, found.due_at) == (NOW, later(10), later(70))
        tx.machines.found("m-1", Health.UNAVAILABLE, later(20), None, "no route to host")
        found = tx.machines.get("m-1")
        assert (found.state, found.since) == (Health.UNAVAILABLE, later(20))
        assert (found.message, found.due_at) == ("no route to host", None)
        assert found.facts == FACTS, "what was known of it is kept"
        tx.machines.found("m-1", Health.HEALTHY, later(30), None, facts=FACTS)
        assert tx.machines.get("m-1").message is None


def test_of_many_who_look_at_a_machine_that_is_due_one_takes_it(database: Database) -> None:
    def take() -> bool:
        with database.write() as tx:
            return tx.machines.take("m-1", None, later(60))

    assert sorted(at_once(4, take)) == [False, False, False, True]
    with database.write() as tx:
        assert not tx.machines.take("m-1", NOW, later(120)), "it was due at another time"
        assert tx.machines.take("m-1", later(60), later(120))


def test_what_people_want_of_a_machine_is_kept_and_says_who_and_why(database: Database) -> None:
    with database.write() as tx:
        tx.machines.found("m-1", Health.UNAVAILABLE, NOW, None, "no route to host")
        tx.machines.set_mode("m-1", MachineMode.DISABLED, "new disk", "ada", later(5))
        found = tx.machines.get("m-1")
        assert (found.mode, found.reason, found.changed_by) == ("disabled", "new disk", "ada")
        assert (found.state, found.message) == (Health.UNAVAILABLE, "no route to host")
        tx.machines.set_mode("m-2", MachineMode.DRAINING, None, "ada", NOW)
        assert tx.machines.not_enabled() == {"m-1": "disabled", "m-2": "draining"}


def test_a_machine_that_is_enabled_is_looked_at_as_if_for_the_first_time(
    database: Database,
) -> None:
    with database.write() as tx:
        tx.machines.found("m-1", Health.UNAVAILABLE, NOW, later(60), "no route to host")
        tx.machines.set_mode("m-1", MachineMode.ENABLED, None, "ada", later(5))
        found = tx.machines.get("m-1")
        assert (found.state, found.message, found.due_at) == (Health.UNKNOWN, None, later(5))
        assert tx.machines.not_enabled() == {}


def test_machines_that_are_no_more_are_forgotten(database: Database) -> None:
    with database.write() as tx:
        for name in ("m-1", "m-2", "m-3"):
            tx.machines.set_mode(name, MachineMode.DISABLED, None, "ada", NOW)
        tx.machines.keep(["m-2", "m-9"])
        assert list(tx.machines.all()) == ["m-2"]
        tx.machines.keep([])
        assert tx.machines.all() == {}


def test_a_deployment_goes_without_a_machine_once(database: Database) -> None:
    with database.write() as tx:
        numbers = [add_deployment(tx, add_release(tx, project)) for project in ("one", "two")]
        for why in ("disabled", "unavailable"):
            tx.absences.add("m-1", numbers[0], why, NOW)
        tx.absences.add("m-1", numbers[1], "unavailable", later(1))
        assert tx.absences.all() == [
            AbsenceRecord("m-1", numbers[0], "disabled", NOW, "one", "1.0", "QA", QUEUED),
            AbsenceRecord("m-1", numbers[1], "unavailable", later(1), "two", "1.0", "QA", QUEUED),
        ]
        assert tx.absences.all(["m-2"]) == tx.absences.all([]) == []
        assert len(tx.absences.all(["m-1", "m-2"])) == 2
    with pytest.raises(Conflict), database.write() as tx:
        tx.absences.add("m-1", 99, "disabled", NOW)


def test_of_many_who_have_a_machine_catch_up_one_does(database: Database) -> None:
    with database.write() as tx:
        number = add_deployment(tx, add_release(tx))
        tx.absences.add("m-1", number, "disabled", NOW)
        tx.absences.add("m-2", number, "disabled", NOW)

    def drop() -> int:
        with database.write() as tx:
            return tx.absences.drop("m-1", [number])

    assert sorted(at_once(4, drop)) == [0, 0, 0, 1]
    with database.read() as tx:
        assert [each.machine for each in tx.absences.all()] == ["m-2"]


def test_what_goes_with_a_release_are_its_absences_too(database: Database) -> None:
    with database.write() as tx:
        release = add_release(tx)
        tx.absences.add("m-1", add_deployment(tx, release), "disabled", NOW)
        tx.retention.remove([release])
        assert tx.absences.all() == []


def test_a_key_is_trusted_once_and_no_more_once_it_is_dropped(database: Database) -> None:
    key = TrustedKey("m-1", "SHA256:one", "ssh-ed25519", "AAAA", NOW, "ada")
    other = replace(key, fingerprint="SHA256:two", trusted_at=later(1))
    elsewhere = replace(key, machine="m-2")
    with database.write() as tx:
        added = [tx.trusted_keys.add(each) for each in (other, key, key, elsewhere)]
        assert added == [True, True, False, True]
        assert tx.trusted_keys.of("m-1") == [key, other]
        assert tx.trusted_keys.drop("m-1", "SHA256:nine") == 0
        assert tx.trusted_keys.drop("m-1", "SHA256:one") == 1
        assert tx.trusted_keys.of("m-1") == [other]
        assert tx.trusted_keys.drop("m-1") == 1
        assert tx.trusted_keys.of("m-2") == [elsewhere]
