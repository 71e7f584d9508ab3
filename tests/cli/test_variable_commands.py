"""``variable resolve``: what it shows of the values that win and of those that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployengine.cli.main import main
from tests.acceptance.catalogs import catalog, machine, project

SHARED = [
    {"name": "Host", "value": "everywhere"},
    {"name": "Host", "value": "#{Octopus.Machine.Name}.test", "scope": {"roles": ["web"]}},
    {"name": "Password", "value": "hunter2", "sensitive": True},
]
OWN = [
    {"name": "host", "value": "elsewhere", "scope": {"environments": ["Production"]}},
    {"name": "Url", "value": "http://#{Host}:#{Port | Trim}"},
    {"name": "Port", "value": "80"},
    {"name": "Login", "value": "me:#{Password | ToUpper}"},
    {"name": "Broken", "value": "#{Hoast}"},
    {"name": "Hoast", "value": "1", "scope": {"steps": ["Install"]}},
    {"name": "Later", "value": "1", "scope": {"steps": ["Install"]}},
]


@pytest.fixture(autouse=True)
def applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A home with a catalog, and a Redis that nobody answers at: none is needed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    there = catalog(
        project("app", variables=OWN, include=["Shared"]),
        project("tied", variables=[{"name": "A", "value": text, "scope": {"roles": [role]}}
                                   for text, role in (("one", "web"), ("two", "db"))]),
        environments=["QA", "Production"],
        machines=[machine("qa-1", "QA", roles=["web", "db"]), machine("prod-1", "Production")],
        lifecycles=[{"name": "auto", "phases": [{"name": "All", "manual": ["QA", "Production"]}]}],
        variable_sets=[{"name": "Shared", "variables": SHARED}],
    )  # fmt: skip
    Path("catalog.yaml").write_text(json.dumps(there))
    assert run("apply", "catalog.yaml") == 0
    capsys.readouterr()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    def told(*arguments: str) -> dict[str, dict[str, Any]]:
        assert run("variable", "resolve", "app", "--json", *arguments) == 0
        return {each["name"]: each for each in json.loads(capsys.readouterr().out)}

    return told


def test_each_winner_is_told_with_its_source_and_scope(told: Any) -> None:
    found = told("--environment", "QA", "--machine", "qa-1")
    assert found["Url"] == {
        "name": "Url",
        "value": "http://qa-1.test:80",
        "source": "project app",
        "scope": {},
        "why": "unscoped; the only value that applies",
        "sensitive": False,
        "problem": None,
    }
    assert found["Host"]["source"] == "variable set Shared"
    assert found["Host"]["scope"] == {"roles": ["web"]}
    assert "Later" not in found


def test_what_is_made_from_a_secret_is_masked_through_its_filters(
    told: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told()["Login"]["value"] == "********"
    assert told()["Login"]["sensitive"] is True
    for more in ([], ["--explain"], ["--json", "--explain"]):
        assert run("variable", "resolve", "app", *more) == 0
        said = "".join(capsys.readouterr()).casefold()
        assert "hunter2" not in said
        assert "********" in said


def test_a_value_that_cannot_be_worked_out_is_told_as_it_is_written_with_the_reason(
    told: Any,
) -> None:
    broken = told()["Broken"]
    assert broken["value"] == "#{Hoast}"
    assert "no variable 'Hoast' has a value here; did you mean 'Host'?" in broken["problem"]


def test_an_explanation_tells_what_became_of_every_value_and_what_it_is_built_from(
    told: Any,
) -> None:
    found = told("--explain", "--environment", "QA", "--machine", "qa-1")
    host = found["Host"]["candidates"]
    assert [(c["value"], c["source"], c["applies"], c["wins"]) for c in host] == [
        ("#{Octopus.Machine.Name}.test", "variable set Shared", True, True),
        ("everywhere", "variable set Shared", True, False),
        ("elsewhere", "project app", False, False),
    ]
    assert [c["why"] for c in host][1:] == [
        "role web in variable set Shared is more specific",
        "environment Production does not match: here it is QA",
    ]
    assert found["Url"]["built_from"] == [
        {"path": ["Url", "Host"], "value": "qa-1.test", "source": "variable set Shared"},
        {"path": ["Url", "Port"], "value": "80", "source": "project app"},
        {"path": ["Url", "Host", "Octopus.Machine.Name"], "value": "qa-1", "source": "system"},
    ]
    assert found["Login"]["built_from"] == [
        {"path": ["Login", "Password"], "value": "********", "source": "variable set Shared"}
    ]
    assert found["Broken"]["built_from"] == [
        {"path": ["Broken", "Hoast"], "value": None, "source": None}
    ]
    later = found["Later"]
    assert (later["value"], later["source"], later["scope"]) == (None, None, {})
    assert later["candidates"][0]["why"] == "step Install does not match: no step is given here"


def test_people_read_the_same_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--environment", "QA", "--machine", "qa-1", "--name", "url", "--name", "Host")
    assert run("variable", "resolve", "app", "--explain", *arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        'Url: "http://qa-1.test:80"',
        '  wins      "http://#{Host}:#{Port | Trim}" in project app: '
        "unscoped; the only value that applies",
        '  from      Url → Host is "qa-1.test" in variable set Shared',
        '  from      Url → Port is "80" in project app',
        '  from      Url → Host → Octopus.Machine.Name is "qa-1" in system',
        'Host: "qa-1.test"',
        '  wins      "#{Octopus.Machine.Name}.test" in variable set Shared: '
        "role web; the most specific of 2 values that apply",
        '  applies   "everywhere" in variable set Shared, unscoped: '
        "role web in variable set Shared is more specific",
        '  not here  "elsewhere" in project app, environment Production: '
        "environment Production does not match: here it is QA",
        '  from      Host → Octopus.Machine.Name is "qa-1" in system',
    ]


def test_a_variable_that_is_not_there_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("variable", "resolve", "app", "--name", "Hots") == 2
    assert "no variable of app 'Hots'; did you mean 'Host'?" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--explain"], ["--json"]])
def test_a_tie_is_an_error_that_names_both(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("variable", "resolve", "tied", "--machine", "qa-1", *more) == 2
    out, err = capsys.readouterr()
    assert not out
    assert all(part in err for part in ('"one", role web', '"two", role db', "project tied"))
