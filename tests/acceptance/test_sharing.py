"""Who may be on a machine together, and who may not."""

from __future__ import annotations

from typing import Any

from tests.acceptance.catalogs import HELD, bypassing, catalog, machine, project, step
from tests.support.engine import LiveEngine, until


def test_a_project_is_never_in_an_environment_twice_at_once_bypass_or_not(
    engine: LiveEngine,
) -> None:
    gate = engine.gate("app")
    engine.apply(catalog(project("app", HELD, variables=[bypassing("True")])))
    engine.worker()
    (first,) = engine.create("app", version="1.0")
    engine.await_inside("qa-1", "app")
    (second,) = engine.create("app", version="2.0")

    (wait,) = engine.json("why", f"dep-{second.id}")

    assert (wait["reason"], wait["position"]) == ("tag", 1)
    assert [h["run"] for h in wait["holders"]] == [f"dep-{first.id}"]
    assert engine.detail(second.id).deployment.state == "queued"
    gate.open()
    until(lambda: engine.begun("qa-1") == ["app", "app"], "the second is let in")
    gate.open()
    assert engine.await_end(second.id) == "succeeded"
    order = [(e.event, e.version) for e in engine.journal("qa-1")]
    assert order == [("begin", "1.0"), ("end", "1.0"), ("begin", "2.0"), ("end", "2.0")]


def test_steps_share_a_machine_unless_they_touch_the_same(engine: LiveEngine) -> None:
    gates = {name: engine.gate(name) for name in ("web", "files", "site")}
    engine.apply(
        catalog(
            _touching("web", "iis"),
            _touching("files", {"resource": "disk", "mode": "shared"}),
            _touching("site", "iis"),
        )
    )
    engine.worker()
    engine.create("web")
    engine.await_inside("qa-1", "web")
    (site,) = engine.create("site")
    engine.create("files")

    engine.await_inside("qa-1", "web", "files")

    (wait,) = engine.services.waits.why(f"dep-{site.id}")
    assert (wait.reason, wait.position) == ("resource", 1)
    assert "iis" in wait.waits_for
    gates["web"].open()
    engine.await_inside("qa-1", "files", "site")
    gates["files"].open()
    gates["site"].open()
    assert engine.await_end(site.id) == "succeeded"


def _touching(name: str, *touches: Any) -> dict[str, Any]:
    return project(name, process=[step(HELD, touches=list(touches))])


def test_no_more_than_max_concurrent_share_a_machine(engine: LiveEngine) -> None:
    names = [f"p{n}" for n in range(1, 6)]
    gates = {name: engine.gate(name) for name in names}
    engine.apply(
        catalog(
            *(project(n, HELD, variables=[bypassing("True")]) for n in names),
            machines=[machine("qa-1", "QA", max_concurrent=2)],
        )
    )
    engine.worker(task_cap=5)
    engine.create(*names)

    for passed in range(1, 6):
        _await_inside(engine, min(2, 6 - passed))
        gates[min(engine.inside("qa-1"))].open()
        _await_ended(engine, passed)
    engine.await_inside("qa-1")

    inside, most = 0, 0
    for entry in engine.journal("qa-1"):
        inside += 1 if entry.event == "begin" else -1
        most = max(most, inside)
    assert most == 2
    assert sorted(engine.begun("qa-1")) == names
    until(lambda: all(d.state == "succeeded" for d in engine.deployments()), "all succeed")


def _await_inside(engine: LiveEngine, number: int) -> None:
    until(lambda: len(engine.inside("qa-1")) == number, f"{number} on qa-1")


def _await_ended(engine: LiveEngine, number: int) -> None:
    def ended() -> int:
        return sum(e.event == "end" for e in engine.journal("qa-1"))

    until(lambda: ended() == number, f"{number} ended")
