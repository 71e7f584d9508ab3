"""What scripts rely on: exit codes, one document on stdout, help with an example."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import click
import pytest

from deployengine.cli.lazy_group import every_command
from deployengine.cli.main import cli
from tests.acceptance.catalogs import bypassing, catalog, project
from tests.support.engine import Answer, LiveEngine, until

#: Nothing listens there.
NO_REDIS = "redis://127.0.0.1:1/0"
NO_DATABASE = "postgresql+psycopg://nobody@127.0.0.1:1/none"


COMMANDS = {" ".join(path): command for path, command in every_command(cli)}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example_and_takes_json(name: str) -> None:
    found = COMMANDS[name]
    with click.Context(found, info_name=f"deployengine {name}") as context:
        text = found.get_help(context)
    assert re.search(rf"Example:\s+deployengine {name}\b", text)
    assert any("--json" in parameter.opts for parameter in found.params)


def test_the_commands_of_the_interface_are_there() -> None:
    promised = """demo; init; apply; up; worker; housekeeping; flower; down; doctor; why; locks;
        release create; release deploy; release show; batch run; batch show; batch cancel;
        deployment list; deployment show; deployment log; deployment cancel; deployment answer;
        variable resolve"""
    assert {" ".join(each.split()) for each in promised.split(";")} <= COMMANDS.keys()


@pytest.fixture(scope="module")
def idle() -> Iterator[LiveEngine]:
    """An engine with a catalog and without workers."""
    with LiveEngine() as engine:
        engine.apply(_catalog())
        yield engine


def _catalog() -> dict[str, object]:
    # The apply command sees through a plain value; this one is only known for a release.
    odd = [bypassing("#{Sometimes}"), {"name": "Sometimes", "value": "perhaps"}]
    return catalog(project("app-[1:3]"), project("odd", variables=odd))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("release create ap-1 1.0", "did you mean 'app-1'?"),
        ("release show app-1 9.9", "9.9"),
        ("release create app-1 .bad.", "no release number"),
        ("release create odd 1.0", "neither true nor false"),
        ("apply nowhere.yaml", "nowhere.yaml"),
        ("batch run nowhere.csv", "nowhere.csv"),
        ("batch show nobody", "nobody"),
        ("deployment show run-1", "dep-17"),
        ("deployment show dep-999", "dep-999"),
        ("why something", "something"),
        ("locks qa-7", "did you mean 'qa-1'?"),
        ("variable resolve app-1 --environment Qa", "did you mean 'QA'?"),
        ("bogus", "bogus"),
        ("batch run", "FILE"),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_what_to_do(
    idle: LiveEngine, arguments: str, said: str
) -> None:
    answer = idle.cli(*arguments.split())
    assert answer.code == 2
    assert said in answer.err
    _assert_brief(answer)
    assert idle.services.queries.deployments() == []


def _assert_brief(answer: Answer) -> None:
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert 1 <= len(answer.err.strip().splitlines()) <= 2


def test_every_fault_of_a_batch_is_told_at_once_and_nothing_is_made(idle: LiveEngine) -> None:
    rows = "app-1, 1.0\nap-2, 1.0\napp-1, 1.0\napp-3\n"
    answer = idle.cli("batch", "run", str(idle.write("wrong.csv", rows)))
    assert answer.code == 2
    assert "wrong.csv:4" in answer.err

    rows = "app-1, 1.0\nap-2, 1.0\napp-1, 1.0\n"
    answer = idle.cli("batch", "run", str(idle.write("wrong.csv", rows)))
    assert answer.code == 2
    assert "wrong.csv:2" in answer.err
    assert "did you mean 'app-2'?" in answer.err
    assert "wrong.csv:3" in answer.err
    assert "twice" in answer.err
    assert idle.services.queries.deployments() == []


def test_every_fault_of_a_catalog_is_told_at_once_and_nothing_is_changed(
    idle: LiveEngine,
) -> None:
    idle.write("bad.yaml", "environments: [QA]\nprojects:\n  - {name: x, lifecyle: auto}\n")
    answer = idle.cli("apply", "bad.yaml")
    assert answer.code == 2
    assert "bad.yaml:3" in answer.err
    assert "'lifecycle'" in answer.err
    assert idle.json("apply", "catalog.yaml", "--dry-run")["applied"] is False


def test_a_bypass_that_is_neither_true_nor_false_is_refused_with_the_catalog(
    idle: LiveEngine,
) -> None:
    wrong = catalog(project("app-1", variables=[bypassing("perhaps")]))
    answer = idle.cli("apply", str(idle.write("perhaps.yaml", json.dumps(wrong))))
    assert answer.code == 2
    assert "perhaps" in answer.err
    _assert_brief(answer)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ("locks", {"DEPLOYENGINE_REDIS_URL": NO_REDIS}),
        ("deployment list", {"DEPLOYENGINE_DATABASE_URL": NO_DATABASE}),
    ],
)
def test_what_cannot_be_reached_ends_with_3(
    idle: LiveEngine, arguments: str, environ: dict[str, str]
) -> None:
    answer = idle.cli(*arguments.split(), cwd=None, **environ)
    assert answer.code == 3
    _assert_brief(answer)


def test_a_release_that_was_made_while_redis_was_away_goes_on_when_it_is_back(
    engine: LiveEngine,
) -> None:
    engine.apply(_catalog())
    answer = engine.cli("release", "create", "app-1", "1.0", DEPLOYENGINE_REDIS_URL=NO_REDIS)
    assert answer.code == 3
    _assert_brief(answer)

    engine.worker()

    until(lambda: [d.state for d in engine.deployments()] == ["succeeded"], "it is deployed")


def test_who_gives_up_waiting_ends_with_4_and_who_is_interrupted_with_130(
    engine: LiveEngine,
) -> None:
    engine.apply(_catalog())
    file = str(engine.write("some.csv", "app-1, 1.0\n"))

    gave_up = engine.cli("batch", "run", file, "--wait", "--timeout", "0.1")
    assert gave_up.code == 4
    assert "gave up" in gave_up.err

    deployed = engine.cli(
        "release", "deploy", "app-1", "1.0", "QA", "--wait", "--timeout", "0.1", "--json"
    )
    assert deployed.code == 4
    assert deployed.out == ""

    waiting = engine.start("batch", "run", file, "--wait")
    until(lambda: "waiting for" in engine.logs(), "it watches")
    assert engine.end(waiting, signal.SIGINT) == 130
    assert "Traceback" not in engine.logs()


def test_an_empty_folder_becomes_an_engine_by_init_apply_and_up(engine: LiveEngine) -> None:
    folder = engine.scratch / "new"
    folder.mkdir()
    here = {"DEPLOYENGINE_HOME": ""}  # the default: within the folder
    assert engine.cli("init", cwd=folder, **here).code == 0
    applied = engine.cli("apply", "catalog", cwd=folder, **here)
    assert applied.code == 0
    again = engine.cli("apply", "catalog", cwd=folder, **here)
    assert again.code == 0
    assert "no change" in again.out
    up = engine.start("up", cwd=folder, **here)

    deployed = engine.cli("release", "create", "shop", "1.0.0", "--json", cwd=folder, **here)
    assert deployed.code == 0
    name = deployed.document["deployments"][0]["id"]

    def state() -> str:
        shown = engine.cli("deployment", "show", name, "--json", cwd=folder, **here)
        return str(shown.document["state"])

    until(lambda: state() == "succeeded", "the starter's first release is in QA")
    assert engine.end(up, signal.SIGINT) == 0


def test_with_json_stdout_holds_one_document_and_talk_goes_to_stderr(engine: LiveEngine) -> None:
    engine.apply(_catalog())
    engine.worker()
    engine.create("app-1")

    answer = engine.cli("release", "deploy", "app-1", "1.0", "QA", "--wait", "--json")

    assert answer.code == 0
    assert answer.document["state"] == "succeeded"
    assert "runs ended" in answer.err
    assert "\x1b" not in answer.out + answer.err
