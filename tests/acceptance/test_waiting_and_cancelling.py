"""Why something waits, and what becomes of the line when somebody leaves it."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.acceptance.catalogs import BEGIN, END, HELD, bypassing, catalog, project
from tests.support.engine import LiveEngine, until

#: A script whose grandchild would outlive it, were only the script itself ended.
WITH_GRANDCHILD = (
    BEGIN
    + """
sh -c 'sh -c "echo \\$\\$ > grandchild; read -r _ < $SCRATCH/family" & wait' &
read -r _ < "$SCRATCH/family"
"""
    + END
)


def test_why_names_holder_mode_since_when_and_place_and_locks_agrees(engine: LiveEngine) -> None:
    names = ("first", "second", "third")
    for name in names:
        engine.gate(name)
    engine.apply(catalog(*(project(n, HELD) for n in names)))
    engine.worker()
    deployments = []
    for place, name in enumerate(names):
        deployments += engine.create(name)
        _await_waiters(engine, *names[1 : place + 1])
        engine.await_inside("qa-1", "first")

    (second,) = engine.json("why", f"dep-{deployments[1].id}")
    (third,) = engine.json("why", f"dep-{deployments[2].id}")
    (locked,) = engine.json("locks", "qa-1")

    (holder,) = second["holders"]
    (running,) = engine.json("deployment", "show", f"dep-{deployments[0].id}")["step_runs"]
    assert (second["reason"], second["position"], third["position"]) == ("machine", 1, 2)
    assert (holder["run"], holder["mode"]) == (running["id"], "exclusive")
    assert running["ready_at"] <= holder["since"] <= running["started_at"]
    assert third["holders"] == second["holders"]
    assert locked["resource"] == "machine:qa-1"
    assert locked["holders"] == second["holders"]
    assert [(w["run"], w["mode"], w["position"]) for w in locked["waiters"]] == [
        (second["run"], "exclusive", 1),
        (third["run"], "exclusive", 2),
    ]

    # Who is parked and cancelled frees the place at once: the one behind moves up.
    said = engine.json("deployment", "cancel", f"dep-{deployments[1].id}")
    assert said["project"] == "second"
    _await_waiters(engine, "third")
    (moved,) = engine.services.waits.why(f"dep-{deployments[2].id}")
    assert moved.position == 1
    assert engine.await_end(deployments[1].id) == "cancelled"
    engine.services.deployments.cancel(deployments[2].id)
    engine.services.deployments.cancel(deployments[0].id)
    assert [engine.await_end(d.id) for d in deployments] == ["cancelled"] * 3
    assert engine.begun("qa-1") == ["first"]


def _await_waiters(engine: LiveEngine, *projects: str) -> None:
    until(lambda: _waiters(engine) == list(projects), f"{projects} in line on qa-1")


def _waiters(engine: LiveEngine) -> list[str]:
    views = engine.services.queries.locks("qa-1")
    return [w.label.split()[0] for v in views for w in v.waiters]


def test_cancelling_ends_the_whole_family_of_a_script_and_lets_the_next_in(
    engine: LiveEngine,
) -> None:
    engine.gate("family")
    engine.apply(catalog(project("family", WITH_GRANDCHILD), project("next")))
    engine.worker()
    (family,) = engine.create("family")
    note = engine.home / "machines" / "qa-1" / "grandchild"
    until(lambda: note.exists() and note.read_text().endswith("\n"), "the grandchild lives")
    grandchild = int(note.read_text())
    assert psutil.pid_exists(grandchild)
    (after,) = engine.create("next")
    _await_waiters(engine, "next")

    engine.json("deployment", "cancel", f"dep-{family.id}")

    assert engine.await_end(family.id) == "cancelled"
    assert not _lives(grandchild)
    assert engine.await_end(after.id) == "succeeded"
    assert [(e.event, e.project) for e in engine.journal("qa-1")] == [
        ("begin", "family"),
        ("begin", "next"),
        ("end", "next"),
    ]


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_cancelling_a_batch_ends_what_runs_and_what_waits(engine: LiveEngine) -> None:
    names = [f"app-{n}" for n in range(1, 6)]
    for name in names:
        engine.gate(name)
    shared = [bypassing("True")]
    engine.apply(
        catalog(*(project(n, HELD, variables=shared if n < "app-3" else []) for n in names))
    )
    engine.worker()
    engine.batch(names)
    until(lambda: engine.inside("qa-1"), "some run")

    engine.json("batch", "cancel", "batch")

    assert engine.await_batch() == "cancelled"
    assert {d.state for d in engine.deployments()} == {"cancelled"}
    until(lambda: not engine.services.queries.locks(), "all locks are free")
