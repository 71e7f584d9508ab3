"""Rolling over machines behind a load balancer: what each sentence of it says, on real workers."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.catalogs import catalog, machine, project
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until

SIX = [f"web-{n}" for n in range(1, 7)]
MACHINES = {
    "environments": ["QA", "Edge"],
    "machines": [*(machine(name, "QA") for name in SIX), machine("lb", "Edge", roles=[])],
}


def journal(event: str) -> str:
    """Says in the folder of the load balancer what happens to the machine whose turn it is."""
    return f'echo "{event} $DEPLOYENGINE_MACHINE" >> ../lb/journal\n'


OUT = {"script": journal("out"), "runs_on": "lb"}
BACK = {"script": journal("back"), "runs_on": "lb"}


def failing(*names: str) -> str:
    return f'case "$DEPLOYENGINE_MACHINE" in {"|".join(names)}) exit 1;; esac\n'


def group(script: str, **more: Any) -> dict[str, Any]:
    steps = [
        {"name": "Install", "script": journal("install") + script},
        {"name": "Check", "script": journal("check")},
    ]
    hooks = {"before": OUT, "after": BACK}
    return {"name": "Roll", "kind": "rolling", "roles": ["web"], "steps": steps, **hooks, **more}


def turns(engine: LiveEngine) -> list[tuple[str, str]]:
    """What has happened, in order, and to which machine."""
    path = engine.home / "machines" / "lb" / "journal"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(event, name) for event, _, name in (line.partition(" ") for line in lines)]


def of(engine: LiveEngine, name: str) -> list[str]:
    return [event for event, whose in turns(engine) if whose == name]


def at_work(engine: LiveEngine) -> list[str]:
    """The machines that were taken out and are not back."""
    return [name for name in SIX if {"out", "back"} & set(of(engine, name)) == {"out"}]


def test_batches_one_two_and_the_rest_each_machine_taken_out_and_put_back_unless_it_failed(
    running: LiveEngine, say: Say
) -> None:
    gates = {name: running.gate(name) for name in SIX}
    held = 'read -r _ < "$SCRATCH/$DEPLOYENGINE_MACHINE"\n'
    rolling = group(held + failing("web-3"), ramp=[1, 2], on_failure="exclude")
    running.apply(catalog(project("batches", process=[rolling]), **MACHINES))
    (deployment,) = running.create("batches")

    def await_installing(*names: str) -> None:
        until(
            lambda: [n for n in SIX if of(running, n)[-1:] == ["install"]] == list(names),
            f"{names} install, and no other",
        )
        running.services.recovery.sweep()

    await_installing("web-1")
    assert turns(running) == [("out", "web-1"), ("install", "web-1")]
    gates["web-1"].open()
    await_installing("web-2", "web-3")
    assert at_work(running) == ["web-2", "web-3"]
    gates["web-3"].open()
    until(lambda: "failed" in _states(running, deployment.id, "web-3"), "web-3 has failed")
    running.services.recovery.sweep()
    assert at_work(running) == ["web-2", "web-3"], "the batch is not done: web-2 is at it"
    gates["web-2"].open()
    await_installing("web-3", "web-4", "web-5", "web-6")
    for name in SIX[3:]:
        gates[name].open()
    assert running.await_end(deployment.id) == "succeeded"
    whole = ["out", "install", "check", "back"]
    assert {name: of(running, name) for name in SIX} == {
        **dict.fromkeys(SIX, whole),
        "web-3": ["out", "install"],
    }
    assert running.detail(deployment.id).deployment.message == "without web-3"
    shown = json.loads(say("deployment", "show", f"dep-{deployment.id}", "--json").out)
    hooks = [r for r in shown["step_runs"] if r["step"].startswith("Roll: ")]
    assert {r["runs_on"] for r in hooks} == {"lb"}
    (left,) = (r for r in hooks if r["state"] == "skipped")
    assert (left["step"], left["machine"]) == ("Roll: after", "web-3")


def _states(engine: LiveEngine, deployment: int, name: str) -> list[str]:
    return [r.state.value for r in engine.detail(deployment).runs if r.machine == name]


def test_one_failure_too_many_and_no_further_machine_begins_and_the_deployment_has_failed(
    running: LiveEngine, say: Say
) -> None:
    bad = failing("web-2", "web-4")
    rolling = group(bad, on_failure="exclude", max_failures="20%")
    running.apply(catalog(project("too-many", process=[rolling]), **MACHINES))
    (deployment,) = running.create("too-many")
    assert running.await_end(deployment.id) == "failed"
    whole = ["out", "install", "check", "back"]
    assert {name: of(running, name) for name in SIX} == {
        "web-1": whole,
        "web-2": ["out", "install"],
        "web-3": whole,
        "web-4": ["out", "install"],
        "web-5": [],
        "web-6": [],
    }
    assert running.detail(deployment.id).deployment.message == (
        "a step failed on web-4; more than 1 machine failed in Roll"
    )
    said = say("deployment", "show", f"dep-{deployment.id}").out
    assert "no further one begins" in " ".join(said.split())


def test_what_fails_is_put_back_where_that_is_said(running: LiveEngine) -> None:
    after = {**BACK, "always": True}
    rolling = group(failing("web-1"), on_failure="exclude", max_parallel=6, after=after)
    running.apply(catalog(project("always-back", process=[rolling]), **MACHINES))
    (deployment,) = running.create("always-back")
    assert running.await_end(deployment.id) == "succeeded"
    assert of(running, "web-1") == ["out", "install", "back"]
    assert running.detail(deployment.id).deployment.message == "without web-1"
