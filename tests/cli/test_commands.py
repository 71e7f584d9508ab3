"""What every command has, and how every error is told; in this process, over a scratch home."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from deployengine.cli.lazy_group import every_command
from deployengine.cli.main import cli, main

HIDDEN = "Traceback (most recent call last)"


#: Every command that does something, by its whole name.
EVERY = {" ".join(path): command for path, command in every_command(cli)}

#: These run until they are stopped and answer nothing.
PROCESSES = {"up", "worker", "housekeeping", "flower"}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and a Redis that nobody answers at, so that none is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    for name in ("DATABASE_URL", "DEBUG", "MASTER_KEY", "MASTER_KEY_FILE", "SETTINGS"):
        monkeypatch.delenv(f"DEPLOYENGINE_{name}", raising=False)
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


# ---- what every command has ----


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_help_with_an_example_of_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    epilog = EVERY[name].epilog or ""
    assert epilog.startswith("Example:")
    assert f"deployengine {name}" in epilog
    assert run(*name.split(), "--help") == 0
    assert "Example:" in capsys.readouterr().out


@pytest.mark.parametrize("name", EVERY)
def test_every_example_is_one_that_its_command_takes(name: str) -> None:
    example = (EVERY[name].epilog or "").removeprefix("Example:")
    words = re.split("&&|>", example)[0].split()
    given = words[1 + len(name.split()) :]
    EVERY[name].make_context(name, given)  # raises a usage error where it does not


@pytest.mark.parametrize("name", EVERY)
def test_every_command_takes_json_and_debug(name: str) -> None:
    options = {option for each in EVERY[name].params for option in each.opts}
    assert "--debug" in options
    if name not in PROCESSES:
        assert "--json" in options


@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_explained_or_explains_itself(name: str) -> None:
    for each in EVERY[name].params:
        if isinstance(each, click.Option) and each.is_flag:
            assert each.help, f"{name} {each.opts[0]}"


def test_the_commands_of_the_interface_are_there() -> None:
    assert set(EVERY) >= {
        *("demo", "init", "apply", "up", "down", "worker", "housekeeping", "flower"),
        *("release create", "release deploy", "release show"),
        *("batch run", "batch show", "batch cancel"),
        *("deployment list", "deployment show", "deployment log", "deployment cancel"),
        *("deployment answer", "why", "locks", "variable resolve", "doctor", "database upgrade"),
    }


# ---- how errors are told ----

WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "an unknown command": (("relese",), 2, "No such command"),
    "a missing argument": (("release", "create", "app"), 2, "Missing argument 'VERSION'"),
    "an unknown option": (("locks", "--jason"), 2, "--json"),
    "an unknown project": (("release", "show", "app", "1"), 2, "there is no project 'app'"),
    "an unknown deployment": (("deployment", "show", "dep-9"), 2, "no deployment 'dep-9'"),
    "a wrong id": (("deployment", "show", "banana"), 2, "'banana' is no id"),
    "a missing catalog": (("apply", "none.yaml"), 2, "none.yaml: there is no such file"),
    "a missing batch file": (("batch", "run", "none.csv"), 2, "none.csv: cannot read the batch"),
    "a span that is none": (
        ("release", "deploy", "shop", "1", "QA", "--at", "+soon"),
        2,
        "'+soon' is no span of time",
    ),
    "a value without a name": (
        ("release", "deploy", "shop", "1", "QA", "--variable", "word"),
        2,
        "'word' is no NAME=VALUE",
    ),
    "a span beyond all calendars": (
        ("release", "deploy", "shop", "1", "QA", "--at", "+99999999h"),
        2,
        "beyond the end of all calendars",
    ),
    "a last day beyond all calendars": (
        ("release", "deploy", "shop", "1", "QA", "--expires", "+99999999h"),
        2,
        "beyond the end of all calendars",
    ),
    "an instant that UTC has no date for": (
        ("release", "deploy", "shop", "1", "QA", "--at", "9999-12-31T23:59-10:00"),
        2,
        "is no time",
    ),
    "a stretch that began before all calendars": (
        ("audit", "list", "--since", "99999999h"),
        2,
        "beyond the end of all calendars",
    ),
    "more lines than there can be": (
        ("deployment", "list", "--limit", "9" * 23),
        2,
        "'--limit'",
    ),
    "an event that cannot be": (("audit", "show", "9" * 20), 2, "is no event's number"),
    "an event that is no number": (("audit", "show", "abc"), 2, "'abc' is no event's number"),
    "a time-out of nothing that is waited for": (
        ("release", "deploy", "shop", "1", "QA", "--timeout", "5"),
        2,
        "--timeout needs --wait",
    ),
    "a time-out that is no time": (
        ("release", "deploy", "shop", "1", "QA", "--wait", "--timeout", "nan"),
        2,
        "nan is no time",
    ),
    "a retry that is not waited for": (
        ("deployment", "retry", "dep-1", "--timeout", "5"),
        2,
        "--timeout needs --wait",
    ),
    "a page of what is not waited for": (
        ("batch", "run", "none.csv", "--html", "page.html"),
        2,
        "--html needs --wait",
    ),
    "a page in a folder that is not there": (
        ("batch", "run", "none.csv", "--html", "none/page.html", "--wait"),
        2,
        "there is no folder 'none'",
    ),
    "a batch without a name": (("batch", "run", "none.csv", "--name", " "), 2, "'' is no name"),
    "a version without a character": (("release", "create", "shop", ""), 2, "'' is no name"),
    "a name that no column takes": (("batch", "show", "x" * 256), 2, "is no name"),
    "an approval of nothing": (("approve", "run-9"), 2, "there is no step run 'run-9'"),
    "an answer that is none": (("guide", "run-9", "shrug"), 2, "'shrug' is not one of"),
    "a retry of nothing": (("deployment", "retry", "dep-9"), 2, "there is no deployment 'dep-9'"),
    "a rollback of nothing": (
        ("release", "rollback", "shop", "QA"),
        2,
        "there is no environment 'QA'",
    ),
    "an unknown batch": (("batch", "show", "none"), 2, "there is no batch 'none'"),
    "a Redis that is not there": (("locks",), 3, "cannot reach Redis at unix:///"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_is_told_plainly_with_its_exit_code(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, said = WRONG[name]
    assert run(*arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert HIDDEN not in told.err
    assert 1 <= len(told.err.splitlines()) <= 2


@pytest.mark.parametrize("command", ["locks", "deployment list", "doctor"])
def test_a_home_that_cannot_be_made_is_told_with_the_setting_to_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("DEPLOYENGINE_REDIS_URL")
    monkeypatch.setenv("DEPLOYENGINE_HOME", "/proc/none")
    assert run(*command.split()) in (1, 2)
    told = capsys.readouterr()
    assert "/proc/none" in told.out + told.err
    assert "set DEPLOYENGINE_HOME" in told.out + told.err
    assert "fault of deployengine" not in told.err


@pytest.mark.parametrize("name", [n for n in WRONG if n.startswith(("an unknown p", "a Redis"))])
def test_debug_shows_the_traceback_as_well(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, code, said = WRONG[name]
    assert run(*arguments, "--debug") == code
    told = capsys.readouterr().err
    assert HIDDEN in told
    assert said in told
    monkeypatch.setenv("DEPLOYENGINE_DEBUG", "1")
    assert run(*arguments) == code
    assert HIDDEN in capsys.readouterr().err


def test_a_fault_of_ours_is_told_without_its_words_which_may_hold_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @cli.command("broken")
    def broken() -> None:
        raise ValueError("hunter2")

    try:
        assert run("broken") == 1
    finally:
        del cli.commands["broken"]
    told = capsys.readouterr()
    assert told.err == "a fault of deployengine itself (ValueError); --debug shows where\n"


def test_an_unreachable_database_is_told_without_its_password(
    scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql+psycopg://someone:hunter2@/shop?host={scratch}"
    monkeypatch.setenv("DEPLOYENGINE_DATABASE_URL", url)
    for more in ((), ("--debug",)):
        assert run("deployment", "list", *more) == 3
        told = capsys.readouterr().err
        assert "cannot reach the database" in told
        assert "hunter2" not in told


def test_a_wrong_setting_is_told_before_anything_is_done(
    scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYENGINE_TASK_CAP", "many")
    assert run("deployment", "list") == 2
    assert "DEPLOYENGINE_TASK_CAP" in capsys.readouterr().err
    assert not (scratch / "home").exists()


def test_with_json_stdout_is_one_document_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("deployment", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


# ---- init and apply ----


def test_init_writes_a_catalog_that_apply_takes_and_applying_again_changes_nothing(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("init", "shop", "--json") == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert all((scratch / path).exists() for path in written)
    assert run("apply", "shop/catalog", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed_anything"]
    assert run("apply", "shop/catalog", "--json") == 0
    assert not json.loads(capsys.readouterr().out)["changed_anything"]


def test_init_overwrites_nothing(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init", "shop") == 0
    assert run("init", "shop") == 2
    assert "exists already" in capsys.readouterr().err


def test_a_dry_run_shows_the_difference_and_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("init", "shop")
    capsys.readouterr()
    shown = []
    for _ in range(2):
        assert run("apply", "shop/catalog", "--dry-run", "--json") == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert shown[0] == shown[1]
    assert shown[0]["changed_anything"]


def test_a_wrong_catalog_tells_every_fault_with_its_place_and_changes_nothing(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scratch / "wrong.yaml").write_text(
        "environments: [QA]\n"
        "machines:\n"
        "  - {name: qa-1, environments: [QAA]}\n"
        "  - {name: qa-2, environmnets: [QA]}\n"
    )
    assert run("apply", "wrong.yaml") == 2
    told = capsys.readouterr().err
    assert "wrong.yaml:3" in told
    assert "wrong.yaml:4" in told
    assert "did you mean 'QA'" in told
    assert HIDDEN not in told


def test_a_catalog_that_is_hardly_meant_so_is_applied_with_a_warning(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = {
        "environments": ["QA"],
        "machines": [{"name": "qa-1", "environments": ["QA"]}],
        "lifecycles": [{"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]}],
        "projects": [
            {
                "name": "app",
                "lifecycle": "auto",
                "variables": [{"name": "Reason", "prompt": {"required": True}}],
                "process": [{"name": "Install", "script": "true"}],
            }
        ],
    }
    (scratch / "catalog.yaml").write_text(json.dumps(catalog))
    assert run("apply", "catalog.yaml", "--json") == 0
    answer = capsys.readouterr()
    assert json.loads(answer.out)["applied"]
    assert "warning: catalog.yaml:1: projects[0].variables[0].prompt: Reason must be" in answer.err
    assert run("release", "create", "app", "1.0") == 2
    assert "needs a value in the catalog" in capsys.readouterr().err


def test_a_sensitive_value_is_shown_by_no_command(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = {
        "environments": ["QA"],
        "machines": [{"name": "qa-1", "environments": ["QA"]}],
        "lifecycles": [{"name": "auto", "phases": [{"name": "QA", "manual": ["QA"]}]}],
        "projects": [
            {
                "name": "app",
                "lifecycle": "auto",
                "variables": [{"name": "Token", "value": "wholly-5ecret", "sensitive": True}],
                "process": [{"name": "Install", "kind": "script", "script": "true"}],
            }
        ],
    }
    (scratch / "catalog.yaml").write_text(json.dumps(catalog))
    for arguments in (
        ("apply", "catalog.yaml", "--dry-run"),
        ("apply", "catalog.yaml", "--json"),
        ("variable", "resolve", "app"),
        ("variable", "resolve", "app", "--json"),
        ("release", "create", "app", "1.0", "--json"),
        ("release", "show", "app", "1.0", "--json"),
    ):
        assert run(*arguments) == 0, arguments
        said = capsys.readouterr()
        assert "wholly-5ecret" not in said.out + said.err
    home = scratch / "home"
    assert not [p for p in home.rglob("*") if p.is_file() and b"wholly-5ecret" in p.read_bytes()]
