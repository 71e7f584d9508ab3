"""Machines that cannot be used, on real workers: a file for a folder, a port where nobody is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.catalogs import SHORT, catalog, machine, project, step
from tests.support.engine import LiveEngine, until

TWO = [machine("m-[1:2]", "QA")]


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    """One that looks at machines only when it is told to, or when something was wrong with them."""
    with LiveEngine(DEPLOYENGINE_HEALTH_INTERVAL="0") as live:
        yield live


def break_(engine: LiveEngine, name: str) -> Path:
    """A machine in whose place there is a file."""
    folder = engine.home / "machines" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    return folder


def test_a_machine_that_was_skipped_gets_the_release_by_itself_once_it_is_well_again() -> None:
    with LiveEngine(DEPLOYENGINE_HEALTH_INTERVAL="0.5") as engine:
        broken = break_(engine, "m-2")
        engine.apply(catalog(project("app", unavailable_machines="skip"), machines=TWO))
        engine.worker()
        engine.batch(["app"])
        assert engine.await_end("dep-1") == "succeeded"
        assert engine.detail("dep-1").deployment.message == "without m-2"
        assert (engine.begun("m-1"), engine.begun("m-2")) == (["app"], [])
        broken.unlink()
        until(lambda: len(list(engine.deployments())) == 2, "what m-2 has missed")
        assert engine.await_end("dep-2") == "succeeded"
        assert (engine.begun("m-1"), engine.begun("m-2")) == (["app"], ["app"])
        assert engine.json("machine", "show", "m-2")["missed"] == []


def test_what_waits_for_its_machine_takes_no_slot_and_goes_on_when_a_look_finds_it_well(
    engine: LiveEngine,
) -> None:
    broken = break_(engine, "m-2")
    waits = {"unavailable_machines": "wait"}
    first = project("first", process=[step(SHORT, roles=["x"])], **waits)
    late = project("late", process=[step(SHORT, roles=["x"])], **waits)
    other = project("other", process=[step(SHORT, roles=["y"])])
    machines = [machine("m-1", "QA", roles=["y"]), machine("m-2", "QA", roles=["x"])]
    engine.apply(catalog(first, late, other, machines=machines))
    engine.worker(task_cap=1)
    engine.create("first", "late")
    for number in (1, 2):

        def waiting(number: int = number) -> bool:
            found = engine.services.waits.why(f"dep-{number}")
            return [wait.reason for wait in found] == ["machine"] and not found[0].holders

        until(waiting, f"dep-{number} to wait for m-2")
    engine.create("other")
    assert engine.await_end("dep-3") == "succeeded"
    (wait,) = engine.json("why", "dep-1")
    assert wait["waits_for"].startswith("machine m-2 to be back: unavailable since ")
    assert [each["state"] for each in engine.json("machine", "check", code=1)] == [
        "healthy",
        "unavailable",
    ]
    broken.unlink()
    assert engine.cli("machine", "check", "m-2").code == 0
    assert [engine.await_end(number) for number in ("dep-1", "dep-2")] == ["succeeded"] * 2
    assert engine.begun("m-2") == ["first", "late"]
    assert [run.attempt for run in engine.detail("dep-1").runs] == [1]


def test_a_host_where_nobody_answers_fails_the_run_with_its_name_and_the_reason(
    engine: LiveEngine,
) -> None:
    with socket.socket() as nobody:  # bound, and never listening
        nobody.bind(("127.0.0.1", 0))
        connection = {
            "kind": "ssh",
            "host": "127.0.0.1",
            "port": nobody.getsockname()[1],
            "host_key": "SHA256:" + "a" * 43,
        }
        far = machine("far", "QA", connection=connection)
        engine.apply(catalog(project("app"), machines=[far]))
        engine.worker()
        engine.batch(["app"])
        assert engine.await_end("dep-1") == "failed"
        (run,) = engine.json("deployment", "show", "dep-1")["step_runs"]
        assert run["state"] == "failed"
        assert "far" in run["message"]
        (found,) = engine.json("machine", "check", code=1)
        assert found["state"] == "unavailable"
        assert engine.json("machine", "list")[0]["message"] == found["message"]
