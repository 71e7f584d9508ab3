"""``secrets``: master keys are changed, nothing is lost, and each says what it is needed for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from deployengine.cli.main import main
from deployengine.sealing import key_id

CATALOG = """
environments: [QA]
machines: [{name: m, environments: [QA], roles: [web], connection: {kind: local, workdir: w}}]
lifecycles: [{name: manual, phases: [{name: QA, manual: [QA]}]}]
projects:
  - name: app
    lifecycle: manual
    variables: [{name: Token, value: wholly-5ecret, sensitive: true}]
    process: [{name: Install, kind: script, roles: [web], script: "echo #{Token}"}]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a catalog that holds a secret, and a Redis that nobody answers at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    for name in ("DATABASE_URL", "DEBUG", "MASTER_KEY", "MASTER_KEY_FILE", "SETTINGS"):
        monkeypatch.delenv(f"DEPLOYENGINE_{name}", raising=False)
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    return tmp_path / "home"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Says a command; returns its exit code and the document that it answered with."""

    def say(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert int(ended.value.code or 0) == code, err
        return json.loads(out) if out else err

    return say


def keys(home: Path) -> list[str]:
    return [
        line.partition("#")[0].strip() for line in (home / "master.key").read_text().split("\n")
    ]


def test_rotating_makes_a_key_seals_everything_anew_and_says_which_key_is_spare(
    home: Path, say: Any
) -> None:
    say("apply", "catalog.yaml")
    before = say("secrets", "status")["keys"]
    done = say("secrets", "rotate")
    (first, second) = done["keys"]
    assert [key["key"] for key in before] == [second["key"]]
    assert first == {
        "key": done["new_key"],
        "seals": True,
        "needed": True,
        "values": {"catalog": 1, "engine": 1},
    }
    assert (second["needed"], second["values"]) == (False, {})
    assert done["sealed_anew"] == 2
    assert [key_id(key.encode()) for key in keys(home) if key] == [first["key"], second["key"]]


def test_the_old_key_can_be_taken_away_afterwards(home: Path, say: Any) -> None:
    say("apply", "catalog.yaml")
    say("secrets", "rotate")
    (home / "master.key").write_text(keys(home)[0])
    assert [key["needed"] for key in say("secrets", "status")["keys"]] == [True]
    assert not say("apply", "catalog.yaml")["changed_anything"], "fingerprints have outlived it"
    assert "Token" in {value["name"] for value in say("variable", "resolve", "app")}


def test_a_release_is_still_the_same_after_the_keys_have_changed(home: Path, say: Any) -> None:
    say("apply", "catalog.yaml")
    made = say("release", "create", "app", "1.0")
    say("secrets", "rotate")
    again = say("release", "create", "app", "1.0")
    assert again["id"] == made["id"]
    assert say("secrets", "status")["keys"][0]["values"]["releases"] == 1


def test_without_the_old_key_nothing_is_lost_yet_but_it_is_missed(home: Path, say: Any) -> None:
    say("apply", "catalog.yaml")
    old = (home / "master.key").read_bytes()
    (home / "master.key").write_bytes(Fernet.generate_key())
    missed = say("secrets", "status", code=1)["keys"][-1]
    assert missed == {
        "key": None,
        "seals": False,
        "needed": True,
        "values": {"catalog": 1, "engine": 1},
    }
    assert "not in use" in say("apply", "catalog.yaml", code=2)
    (home / "master.key").write_bytes(old)
    assert say("secrets", "status")["keys"][0]["needed"]


def test_a_rotation_that_was_interrupted_goes_on_without_a_further_key(
    home: Path, say: Any
) -> None:
    say("apply", "catalog.yaml")
    # As if it had ended right after the new key was put first.
    new = Fernet.generate_key().decode()
    (home / "master.key").write_text("\n".join([new, *keys(home)]))
    done = say("secrets", "rotate")
    assert (done["new_key"], done["sealed_anew"]) == (None, 2)
    assert keys(home)[0] == new
    assert say("secrets", "rotate")["new_key"] is not None


def test_a_given_key_is_taken_from_its_file(home: Path, say: Any, tmp_path: Path) -> None:
    say("apply", "catalog.yaml")
    new = Fernet.generate_key()
    file = tmp_path / "new.key"
    file.touch(0o600)
    file.write_bytes(new)
    assert say("secrets", "rotate", "--new-key-file", str(file))["new_key"] == key_id(new)
    assert keys(home)[0] == new.decode()


@pytest.mark.parametrize(("content", "mode"), [(b"hush", 0o600), (b"A" * 43 + b"=", 0o644)])
def test_a_file_that_holds_no_key_or_is_open_to_others_changes_nothing(
    home: Path, say: Any, tmp_path: Path, content: bytes, mode: int
) -> None:
    say("apply", "catalog.yaml")
    before = (home / "master.key").read_bytes()
    file = tmp_path / "new.key"
    file.write_bytes(content)
    file.chmod(mode)
    said = say("secrets", "rotate", "--new-key-file", str(file), code=2)
    assert content.decode() not in said
    assert (home / "master.key").read_bytes() == before


def test_keys_in_the_variable_are_changed_there_and_then_all_is_sealed_anew(
    say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", old)
    say("apply", "catalog.yaml")
    said = say("secrets", "rotate", code=2)
    assert "put the new key before the others there" in said
    assert old not in said

    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", f"{new} {old}")
    assert say("secrets", "rotate")["sealed_anew"] == 2
    assert say("secrets", "rotate")["sealed_anew"] == 0
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", new)
    assert [key["key"] for key in say("secrets", "status")["keys"]] == [key_id(new.encode())]


def test_people_are_told_where_to_take_the_old_key_out(
    home: Path, say: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    say("apply", "catalog.yaml")
    with pytest.raises(SystemExit):
        main(["secrets", "rotate"])
    out = capsys.readouterr().out
    old = key_id(keys(home)[1].encode())
    assert f"not needed any more, take out of {home / 'master.key'}: {old}" in out
    assert "2 values were sealed anew" in out
    assert not any(key and key in out for key in keys(home))
