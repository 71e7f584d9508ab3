"""``retention apply``: what it lists is what it removes, and nothing where nobody asked for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from cryptography.fernet import Fernet

from deployengine.cli.main import main
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import catalog, machine, project
from tests.support.fakes import House


def shop(**qa: int) -> dict[str, Any]:
    phases = [{"name": "QA", "automatic": ["QA"], **qa}]
    return catalog(
        project("app", "echo hello\n"),
        machines=[machine("qa-1", "QA")],
        lifecycles=[{"name": "auto", "phases": phases}],
    )


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_redis: fakeredis.FakeRedis) -> Any:
    """An engine with four releases in QA; commands find its database, and no Redis."""
    key = Fernet.generate_key().decode()
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DEBUG", "MASTER_KEY_FILE", "SETTINGS", "USER"):
        monkeypatch.delenv(f"DEPLOYENGINE_{name}", raising=False)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", key)
    with House(tmp_path / "home", fake_redis, master_key=key) as house:
        house.handoff.rebuild()
        house.apply(shop(keep_releases=2))
        house.batches.run([Row(Wanted("app", "1.0"))], "first")
        for version in ("1.0", "2.0", "3.0", "4.0"):
            house.releases.create(Wanted("app", version))
            house.deliver_all()
        yield house


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    def say(*arguments: str) -> tuple[Any, str]:
        """The document that a command answers with, and what it tells people."""
        said = []
        for more in (["--json"], []):
            with pytest.raises(SystemExit) as ended:
                main([*arguments, *more])
            assert not ended.value.code
            said.append(capsys.readouterr().out)
        return json.loads(said[0]), said[1]

    return say


GOING = [
    {
        "id": f"rel-{number}",
        "project": "app",
        "version": f"{number}.0",
        "deployments": [{"id": f"dep-{number}", "environment": "QA"}],
    }
    for number in (1, 2)
]


def test_a_dry_run_lists_what_would_go_and_removes_nothing(house: House, say: Any) -> None:
    document, told = say("retention", "apply", "--dry-run")
    assert document == {"applied": False, "releases": GOING, "logs": [], "removed": None}
    assert told.splitlines() == [
        "release app 1.0: dep-1 → QA",
        "release app 2.0: dep-2 → QA",
        "dry run: nothing was removed",
    ]


def test_what_was_listed_is_removed_and_told(house: House, say: Any) -> None:
    document, told = say("retention", "apply")
    assert document == {
        "applied": True,
        "releases": GOING,
        "logs": [],
        "removed": {"releases": 2, "deployments": 2, "step_runs": 2, "logs": 0},
    }
    assert told.startswith("removed: 0 releases"), "said again, nothing is left to do"
    (found, _) = say("deployment", "list")
    assert [each["version"] for each in found] == ["4.0", "3.0"]


def test_a_batch_tells_how_many_of_its_releases_are_gone(house: House, say: Any) -> None:
    say("retention", "apply")
    document, told = say("batch", "show", "first")
    assert (document["state"], document["removed"], document["releases"]) == ("removed", 1, [])
    assert "1 of its 1 releases are gone by retention" in told


def test_without_a_rule_all_is_kept_and_that_is_told(house: House, say: Any) -> None:
    house.apply(shop())
    document, told = say("retention", "apply")
    assert document["removed"]["releases"] == 0
    assert told == "all is kept: no phase of a lifecycle says keep_releases\n"
