"""What fails, and what that touches."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.catalogs import BEGIN, END, catalog, machine, project
from tests.support.engine import LiveEngine

STAGES = ("QA", "Production")


@pytest.fixture(scope="module")
def mixed() -> Iterator[LiveEngine]:
    """A batch of releases, each going wrong or well in its own way, has come to its end."""
    with LiveEngine() as engine:
        engine.apply(
            catalog(
                project("well", BEGIN + END),
                project("broken", BEGIN + "echo no such thing >&2; exit 7\n"),
                environments=list(STAGES),
                machines=[machine("qa-1", "QA"), machine("prod-1", "Production")],
                lifecycles=[
                    {"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in STAGES]}
                ],
            )
        )
        engine.worker()
        rows = [{"project": p, "version": "1.0"} for p in PROJECTS]
        engine.write("mixed.yaml", json.dumps(rows))
        engine.json("batch", "run", "mixed.yaml", "--name", "mixed", "--wait", code=1)
        yield engine


PROJECTS = ("broken", "well")


def _deployment(engine: LiveEngine, name: str, environment: str = "QA") -> str:
    (found,) = engine.services.queries.deployments(name, environment)
    return f"dep-{found.id}"


def test_a_failed_script_stops_the_promotion_of_its_release_and_of_no_other(
    mixed: LiveEngine,
) -> None:
    said = mixed.json("batch", "show", "mixed")
    ways = {
        r["project"]: (r["state"], [d["environment"] for d in r["deployments"]])
        for r in said["releases"]
    }
    assert ways == {
        "well": ("succeeded", ["QA", "Production"]),
        "broken": ("failed", ["QA"]),
    }
    assert said["state"] == "failed"


def test_the_exit_code_and_the_output_of_a_failed_script_are_told(mixed: LiveEngine) -> None:
    name = _deployment(mixed, "broken")
    (run,) = mixed.json("deployment", "show", name)["step_runs"]
    assert (run["state"], run["exit_code"]) == ("failed", 7)
    assert "no such thing" in mixed.cli("deployment", "log", name).out


def test_a_batch_in_which_all_succeed_ends_with_0(mixed: LiveEngine) -> None:
    mixed.write("fine.csv", "well, 2.0\n")
    assert mixed.json("batch", "run", "fine.csv", "--wait")["state"] == "succeeded"
