"""Flower shows people what goes on."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from tests.acceptance.catalogs import BEGIN, HELD, catalog, project
from tests.support.engine import LiveEngine, until


def test_flower_shows_runs_by_name_parked_and_failed_ones_too(engine: LiveEngine) -> None:
    gate = engine.gate("app-1")
    port = _free_port()
    engine.apply(
        catalog(project("app-1", HELD), project("app-2"), project("app-3", BEGIN + "exit 3\n"))
    )
    engine.worker()
    engine.start("flower", "--port", str(port), FLOWER_UNAUTHENTICATED_API="true")
    until(lambda: _workers_seen(port), "Flower hears the workers")

    engine.create("app-1")
    engine.await_inside("qa-1", "app-1")
    engine.create("app-2")
    until(lambda: _states(port).get("app-2 1.0 → QA · Install on qa-1") == "PARKED", "it is parked")
    assert _states(port)["app-1 1.0 → QA · Install on qa-1"] == "STARTED"
    gate.open()
    engine.create("app-3")

    wanted = {
        "app-1 1.0 → QA · Install on qa-1": "SUCCESS",
        "app-2 1.0 → QA · Install on qa-1": "SUCCESS",
        "app-3 1.0 → QA · Install on qa-1": "FAILURE",
    }
    until(lambda: wanted.items() <= _states(port).items(), "all have ended, one badly")
    names = {task["name"] for task in _ask(port, "tasks").values()}
    assert names >= {"deployment begin", "step open", "step run", "deployment finish"}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _ask(port: int, what: str) -> dict[str, Any]:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/api/{what}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
    return {}


def _workers_seen(port: int) -> bool:
    return len(_ask(port, "workers")) == 2


def _states(port: int) -> dict[str, str]:
    """The state of each run by what Flower shows as its arguments."""
    tasks = _ask(port, "tasks").values()
    return {t["args"].strip("'\""): t["state"] for t in tasks if t["name"] == "step run"}


def test_flower_refuses_to_be_open_to_the_network_without_a_password(engine: LiveEngine) -> None:
    answer = engine.cli("flower", "--address", "0.0.0.0")
    assert answer.code == 2
    assert "FLOWER_BASIC_AUTH" in answer.err
