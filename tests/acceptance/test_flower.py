"""Flower shows people what goes on."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.request import urlopen

from tests.acceptance.catalogs import BEGIN, HELD, catalog, project
from tests.support.engine import LiveEngine, until

QA_1 = "1.0 → QA · Install on qa-1"


def test_flower_shows_runs_by_name_parked_and_failed_ones_too(engine: LiveEngine) -> None:
    gate = engine.gate("app-1")
    port = _free_port()
    broken = project("app-3", BEGIN + "exit 3\n")
    engine.apply(catalog(project("app-1", HELD), project("app-2"), broken, project("probe")))
    engine.worker()
    engine.start("flower", "--port", str(port), FLOWER_UNAUTHENTICATED_API="true")
    numbers = count(1)
    until(lambda: _hears_all(engine, port, next(numbers)), "Flower hears of runs and links")

    engine.create("app-1")
    engine.await_inside("qa-1", "app-1")
    engine.create("app-2")
    until(lambda: _states(port).get(f"app-2 {QA_1}") == "PARKED", "app-2 is parked")
    assert _states(port)[f"app-1 {QA_1}"] == "STARTED"
    gate.open()
    engine.create("app-3")

    wanted = {
        f"app-1 {QA_1}": "SUCCESS",
        f"app-2 {QA_1}": "SUCCESS",
        f"app-3 {QA_1}": "FAILURE",
    }
    until(lambda: wanted.items() <= _states(port).items(), "all have ended, one badly")


def _hears_all(engine: LiveEngine, port: int, number: int) -> bool:
    """Whether Flower knows of a run and of the links beside it; sends a release to be heard of."""
    (probe,) = engine.create("probe", version=f"0.{number}")
    engine.await_end(probe.id)
    names = {task["name"] for task in _ask(port, "tasks").values()}
    return names >= {"deployment begin", "step open", "step run", "deployment finish"}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _ask(port: int, what: str) -> dict[str, Any]:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/api/{what}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
    return {}


def _states(port: int) -> dict[str, str]:
    """The state of each run by what Flower shows as its arguments."""
    tasks = _ask(port, "tasks").values()
    return {t["args"].strip("'\""): t["state"] for t in tasks if t["name"] == "step run"}


def test_flower_refuses_to_be_open_to_the_network_without_a_password(engine: LiveEngine) -> None:
    answer = engine.cli("flower", "--address", "0.0.0.0")
    assert answer.code == 2
    assert "FLOWER_BASIC_AUTH" in answer.err
