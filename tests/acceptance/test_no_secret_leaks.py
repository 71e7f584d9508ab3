"""No secret leaks: a thousand of them, told by scripts in every way, and not a trace anywhere.

Searched are the database, Redis and every command it is given, all files that an engine leaves, the
output of every command that reads, and the process list. How: :mod:`tests.support.canaries`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployengine.cli.lazy_group import every_command
from deployengine.cli.main import cli
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.identity import deployment_id
from deployengine.persistence.records import DeploymentRecord
from tests.acceptance.conftest import has_failed
from tests.acceptance.secret_scene import CHANGING, ENDS, MACHINES, READING, Scene
from tests.support.engine import LiveEngine, until
from tests.support.postgres import PostgresServer


@pytest.fixture
def in_this_process(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[LiveEngine]:
    """An engine whose settings this process has as well, so that commands can be said here."""
    environ = getattr(request, "param", {})
    if environ.get("DEPLOYENGINE_DATABASE_URL") == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        environ = {**environ, "DEPLOYENGINE_DATABASE_URL": server.create_database()}
    for name in environ:
        monkeypatch.setenv(name, environ[name])
    monkeypatch.chdir(tmp_path)
    with LiveEngine(DEPLOYENGINE_LOG_LEVEL="DEBUG", PYTHON=sys.executable, **environ) as engine:
        for name in ("DEPLOYENGINE_HOME", "DEPLOYENGINE_LOG_LEVEL"):
            monkeypatch.setenv(name, engine.environ[name])
        yield engine
        engine.check_at_end = not has_failed(request)


def play(scene: Scene) -> None:
    """Everything that an installation does, with its secrets in the middle of it."""
    engine = scene.engine
    scene.write()
    engine.gate("hold")
    scene.say(f"apply {scene.folder / 'catalog.yaml'}")
    scene.say(f"batch run {scene.folder / 'batch.yaml'} --name all")
    for release in ("tagged 1.0", "tagged 1.1", "broken 1.0", "asked 1.0"):
        scene.say(f"release create {release}")
    scene.say(f"release deploy asked 1.0 QA --variable-file {scene.folder / 'answers.yaml'}")
    for project in ("flagged", "windowed"):
        assert "********" in scene.say(f"release create {project} 1.0")
    scene.look_into_redis("while messages are queued")
    scene.say("locks")
    scene.say("why dep-1")
    with scene.watched():
        worker = engine.worker(MACHINES)
        for project in scene.projects:
            if project.endswith("is-cancelled"):
                scene.cancel(project)
        engine.await_batch("all")
        scene.say("secrets rotate")
        scene.say(f"release create {next(iter(scene.projects))} 1.1")
        until(lambda: all(d.state.final for d in engine.deployments()), "the end of all")
        engine.end(worker)
    scene.look_into_redis("at the end")


def last_of(scene: Scene, project: str) -> DeploymentRecord:
    return scene.engine.services.queries.deployments(project=project)[0]


def ends(scene: Scene) -> dict[str, DeploymentState]:
    return {d.project: d.state for d in scene.engine.deployments()}


@pytest.mark.parametrize(
    ("in_this_process", "many"),
    [({}, 1000), ({"DEPLOYENGINE_DATABASE_URL": "postgresql"}, 150)],
    ids=["sqlite", "postgresql"],
    indirect=["in_this_process"],
)
def test_of_a_thousand_secrets_that_scripts_say_in_every_way_not_one_leaves_a_trace(
    in_this_process: LiveEngine, tmp_path: Path, many: int
) -> None:
    scene = Scene(in_this_process, tmp_path, many, list(ENDS))
    play(scene)
    scene.read_everything()

    assert scene.leaks() == {}
    assert "********" in scene.say("deployment log " + deployment_id(last_of(scene, "asked").id))
    for project, state in ends(scene).items():
        wanted = {"succeeds": "succeeded", "fails": "failed", "cancelled": "cancelled"}
        assert state == wanted.get(project.rpartition("-")[2], state), project
    assert "INFO deployengine.runs" in scene.engine.logs(), "nothing was logged at all"
    masked = [w for w, seen in scene.said if w.startswith("deployment log") and b"****" in seen]
    assert len(masked) >= len(scene.projects), "hardly anything was said at all"


@pytest.mark.parametrize("in_this_process", [{"DEPLOYENGINE_MUTATIONS": "masking"}], indirect=True)
def test_with_masking_left_out_every_secret_is_found(
    in_this_process: LiveEngine, tmp_path: Path
) -> None:
    scene = Scene(in_this_process, tmp_path, 1000, ["succeeds"])
    scene.write()
    scene.say(f"apply {tmp_path / 'catalog.yaml'}")
    scene.say(f"batch run {tmp_path / 'batch.yaml'} --name all")
    scene.engine.worker(MACHINES)
    assert scene.engine.await_batch("all") == "succeeded"

    assert scene.leaks()["table run_output"] == set(scene.secrets)


def test_every_command_either_reads_and_is_searched_or_changes_something() -> None:
    found = {*READING, *CHANGING} ^ {" ".join(path) for path, _ in every_command(cli)}
    assert not found, (
        "what is said to a new command that reads, READING says; CHANGING names others"
    )
