"""The machine mutex as Octopus documents it, with its own variable."""

from __future__ import annotations

from tests.acceptance.catalogs import HELD, bypassing, catalog, machine, project
from tests.support.engine import LiveEngine, until

FIVE = {"p1": "True", "p2": "True", "p3": "False", "p4": "True", "p5": "True"}


def test_five_projects_with_true_true_false_true_true(engine: LiveEngine) -> None:
    gates = {name: engine.gate(name) for name in FIVE}
    engine.apply(catalog(*(project(n, HELD, variables=[bypassing(v)]) for n, v in FIVE.items())))
    engine.worker(task_cap=5)
    # Each is in line before the next comes: that is the order in which they start.
    for place, name in enumerate(FIVE, start=1):
        engine.create(name)
        _await_in_line(engine, place)

    engine.await_inside("qa-1", "p1", "p2")
    assert _waiting(engine) == ["p3", "p4", "p5"]
    gates["p1"].open()
    engine.await_inside("qa-1", "p2")
    assert _waiting(engine) == ["p3", "p4", "p5"]
    gates["p2"].open()
    engine.await_inside("qa-1", "p3")
    assert _waiting(engine) == ["p4", "p5"]
    gates["p3"].open()
    engine.await_inside("qa-1", "p4", "p5")
    assert _waiting(engine) == []
    gates["p5"].open()
    engine.await_inside("qa-1", "p4")
    gates["p4"].open()
    engine.await_inside("qa-1")

    # The machine's own journal has the last word: who was there when each began.
    seen: list[tuple[str, frozenset[str]]] = []
    inside: set[str] = set()
    for entry in engine.journal("qa-1"):
        if entry.event == "begin":
            seen.append((entry.project, frozenset(inside)))
            inside.add(entry.project)
        else:
            inside.remove(entry.project)
    beside = dict(seen)
    assert beside["p1"] | beside["p2"] <= {"p1", "p2"}
    assert beside["p3"] == frozenset()
    assert beside["p4"] | beside["p5"] <= {"p4", "p5"}
    until(lambda: all(d.state == "succeeded" for d in engine.deployments()), "all five succeed")


def _view(engine: LiveEngine) -> tuple[list[str], list[str]]:
    for view in engine.services.queries.locks("qa-1"):
        if view.resource == "machine:qa-1":
            return [h.label for h in view.holders], [w.label for w in view.waiters]
    return [], []


def _await_in_line(engine: LiveEngine, number: int) -> None:
    until(lambda: _in_line(engine) == number, f"{number} on qa-1 or in line for it")


def _in_line(engine: LiveEngine) -> int:
    return sum(map(len, _view(engine)))


def _waiting(engine: LiveEngine) -> list[str]:
    return [label.split()[0] for label in _view(engine)[1]]


def test_a_bypass_scoped_to_one_environment_acts_there_only(engine: LiveEngine) -> None:
    stages = ("QA", "Production")
    engine.apply(
        catalog(
            project("app", include=["Shared"]),
            environments=list(stages),
            machines=[machine("qa-1", "QA"), machine("prod-1", "Production")],
            lifecycles=[
                {"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in stages]}
            ],
            variable_sets=[
                {"name": "Shared", "variables": [bypassing("True", environments=["QA"])]}
            ],
        )
    )
    engine.worker()
    engine.batch(["app"])
    assert engine.await_batch() == "succeeded"

    shown = [engine.json("deployment", "show", f"dep-{d.id}") for d in engine.deployments()]

    modes = {d["environment"]: [r["lock_mode"] for r in d["step_runs"]] for d in shown}
    assert modes == {"QA": ["shared"], "Production": ["exclusive"]}
