"""``machine trust``: host keys are learned when somebody has compared them, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Say
from tests.cli.test_audit_commands import reach_by_ssh
from tests.steps.conftest import sshd
from tests.support.fakes import House
from tests.support.sshd import make_key, private_sshd


@pytest.fixture
def house(house: House) -> House:
    """An engine whose machine ``far`` is reached by SSH, with a key that nobody vouched for."""
    reach_by_ssh(house)
    return house


def test_a_key_is_learned_by_its_fingerprint_and_then_lets_in(house: House, say: Say) -> None:
    refused = say("machine", "check", "far", code=1)
    assert "machine trust far" in refused.out
    (learned,) = say("machine", "trust", "far", "--fingerprint", sshd().host_key, "--json").document
    assert learned["learned"] is True
    assert (learned["algorithm"], learned["fingerprint"]) == ("ssh-ed25519", sshd().host_key)
    assert say("machine", "check", "far").out
    (again,) = say("machine", "trust", "far", "--yes", "--json").document
    assert (again["trusted"], again["learned"]) == (True, False)


def test_another_fingerprint_than_the_one_shown_learns_nothing(house: House, say: Say) -> None:
    wrong = "SHA256:" + "a" * 43
    said = say("machine", "trust", "far", "--fingerprint", wrong, code=2)
    assert sshd().host_key in said.err
    assert wrong in said.err
    assert say("machine", "check", "far", code=1)


def test_where_nobody_can_be_asked_a_key_is_shown_and_not_learned(house: House, say: Say) -> None:
    said = say("machine", "trust", "far", "--json", code=1)
    assert "--fingerprint" in said.err
    (shown,) = said.document
    assert (shown["fingerprint"], shown["trusted"]) == (sshd().host_key, False)
    assert say("machine", "check", "far", code=1)
    say("machine", "trust", "far", "--yes")
    assert say("machine", "trust", "far", "--json").document[0]["trusted"] is True


def test_a_fingerprint_is_that_of_one_machine(house: House, say: Say) -> None:
    both = say("machine", "trust", "far", "qa-1", "--fingerprint", "SHA256:x", code=2)
    assert "name one" in both.err


def test_a_machine_that_was_installed_anew_is_told_apart_from_a_stranger(
    house: House, say: Say, tmp_path: Path
) -> None:
    say("machine", "trust", "far", "--yes")
    make_key(tmp_path / "other")
    with house.database.write("machine") as tx:
        (known,) = tx.trusted_keys.of("far")
        tx.trusted_keys.drop("far")
        key = (tmp_path / "other.pub").read_text().rsplit(" ", 1)[0]
        tx.trusted_keys.add(
            type(known)("far", "SHA256:other", "ssh-ed25519", key, known.trusted_at, "bob")
        )
    assert "is not the one that was learned" in say("machine", "check", "far", code=1).out
    for more in ((), ("--yes",)):
        refused = say("machine", "trust", "far", *more, code=2)
        assert "SHA256:other is trusted" in refused.err
        assert sshd().host_key in refused.err
        assert "--replace" in refused.err
    say("machine", "trust", "far", "--yes", "--replace")
    assert say("machine", "check", "far").out
    with house.database.read() as tx:
        assert [each.fingerprint for each in tx.trusted_keys.of("far")] == [sshd().host_key]


def test_what_was_learned_can_be_forgotten(house: House, say: Say) -> None:
    say("machine", "trust", "far", "--yes")
    assert say("machine", "distrust", "far", "--json").document == [{"name": "far", "forgotten": 1}]
    assert say("machine", "check", "far", code=1)
    assert say("machine", "distrust", "far", "--json").document == [{"name": "far", "forgotten": 0}]


def test_local_machines_and_unknown_ones_have_no_host_key(house: House, say: Say) -> None:
    assert "is a folder of this host" in say("machine", "trust", "qa-1", "--yes", code=2).err
    assert "did you mean 'far'" in say("machine", "trust", "fra", "--yes", code=2).err


def test_a_pinned_key_is_not_learned_over(house: House, say: Say) -> None:
    with private_sshd() as other:
        document = {"host_key": ["SHA256:" + "a" * 43], "port": other.port}
        with house.database.write("apply") as tx:
            items = tx.catalog.all()
            far = items["machine", "far"]
            far["connection"] |= document
            tx.catalog.replace([(kind, name, each) for (kind, name), each in items.items()])
        assert "the catalog pins" in say("machine", "trust", "far", "--yes", code=2).err
