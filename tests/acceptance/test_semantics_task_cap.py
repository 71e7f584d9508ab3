"""The task cap: what each sentence of its meaning says, on a worker with two slots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from deployengine.engine.intake import Terms
from deployengine.engine.releases import Wanted
from deployengine.persistence.records import RunRecord
from tests.acceptance.catalogs import (
    HELD,
    SHORT,
    bypassing,
    catalog,
    held_at,
    machine,
    project,
    step,
)
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until

LIFECYCLES = [
    {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]},
    {"name": "by-hand", "phases": [{"name": "QA", "manual": ["QA"]}]},
]
THREE = [machine(f"qa-{n}", "QA", roles=[f"r{n}"]) for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def installation() -> Iterator[LiveEngine]:
    """An engine with one worker of two slots."""
    with LiveEngine() as live:
        live.worker(task_cap=2)
        yield live


def on(roles: str, name: str, script: str = HELD, **more: Any) -> dict[str, Any]:
    """A project whose one step runs on the machines with these roles."""
    return project(name, process=[step(script, roles=roles.split(), **more)])


def only_run(engine: LiveEngine, name: str) -> RunRecord:
    (deployment,) = engine.services.queries.deployments(name)
    (run,) = engine.detail(deployment.id).runs
    return run


def test_worker_task_cap_n_summed_over_all_workers_changing_the_cap_changes_no_stored_work(
    running: LiveEngine,
) -> None:
    gate = running.gate("sum")
    shared = [bypassing("True")]
    running.apply(catalog(project("sum-[1:5]", held_at("sum"), variables=shared)))
    running.create(*(f"sum-{n}" for n in range(1, 6)))
    until(lambda: len(running.inside("qa-1")) == 2, "two at once")
    until(lambda: len(running.line("machine:qa-1")[0]) == 5, "all are let in")
    stored = {name: only_run(running, name) for name in (f"sum-{n}" for n in range(1, 6))}
    second = running.worker(task_cap=1)
    until(lambda: len(running.inside("qa-1")) == 3, "three at once")
    waiting = set(stored) - running.inside("qa-1")
    assert len(waiting) == 2
    assert all(only_run(running, name) == stored[name] for name in waiting)
    gate.open(5)
    until(lambda: len(running.begun("qa-1")) == 5 and not running.inside("qa-1"), "all have run")
    assert running.end(second) == 0


def test_it_counts_scripts_that_run_what_waits_for_machine_tag_window_person_or_time_counts_not(
    running: LiveEngine,
) -> None:
    for name in ("holder", "waiter", "window"):
        running.gate(name)
    ask = project("asks", process=[{"name": "Ask", "kind": "manual", "instructions": "look"}])
    running.apply(
        catalog(
            on("r1", "holder"),
            on("r1", "waiter"),
            on("r1 r2", "window", max_parallel=1),
            ask,
            project("later", lifecycle="by-hand"),
            on("r3", "free-[1:6]", SHORT),
            machines=THREE,
            lifecycles=LIFECYCLES,
        )
    )
    (first,) = running.create("holder")
    running.await_inside("qa-1", "holder")
    waiting = [*running.create("waiter", "window", "asks"), *running.create("holder", version="2")]
    running.services.releases.create(Wanted("later", "1.0"))
    soon = Terms(not_before=running.services.clock.now() + timedelta(hours=1))
    waiting.append(running.services.deployments.deploy("later", "1.0", "QA", soon))

    window = running.detail(waiting[1].id).runs[1]
    all_of_them = {"machine", "window", "approval", "tag", "schedule"}

    def reasons() -> set[str]:
        ids = [*(f"dep-{d.id}" for d in waiting), f"run-{window.id}"]
        return {wait.reason.value for each in ids for wait in running.services.waits.why(each)}

    until(lambda: reasons() == all_of_them, "all wait")
    running.batch([f"free-{n}" for n in range(1, 7)], "free")
    assert running.await_batch("free") == "succeeded"
    assert running.inside("qa-1") == {"holder"}
    assert reasons() == all_of_them
    assert running.detail(first.id).deployment.state == "running"


def test_blocked_work_is_skipped_never_head_of_line_blocking_forty_that_wait_hold_back_nobody(
    running: LiveEngine,
) -> None:
    crowd = [f"crowd-{n:02}" for n in range(1, 42)]
    free = [f"aside-{n}" for n in range(1, 9)]
    gate = running.gate("crowd")
    running.apply(
        catalog(
            on("r1", "crowd-[01:41]", held_at("crowd")),
            on("r2", "aside-[1:8]", SHORT),
            machines=THREE,
        )
    )
    running.batch(crowd, "crowd")
    running.await_line("machine:qa-1", crowd[:1], *crowd[1:])

    running.batch(free, "aside")
    assert running.await_batch("aside") == "succeeded"

    assert running.line("machine:qa-1") == (crowd[:1], crowd[1:])
    assert running.inside("qa-1") == {crowd[0]}
    running.services.batches.cancel("crowd")
    gate.open(41)
    assert running.await_batch("crowd") == "cancelled"
    assert len(running.begun("qa-1")) == 1, "none was let in only to be cancelled"


def test_each_step_runs_life_is_accounted_in_full_waiting_for_the_machine_for_the_cap_running(
    running: LiveEngine, say: Say
) -> None:
    gates = {name: running.gate(name) for name in ("full-1", "full-3")}
    running.apply(
        catalog(
            on("r1", "full-1"),
            on("r3", "full-3"),
            on("r1", "machine-first", SHORT),
            on("r2", "cap-only", SHORT),
            machines=THREE,
        )
    )
    running.create("full-1", "full-3")
    running.await_inside("qa-1", "full-1")
    running.await_inside("qa-3", "full-3")
    running.batch(["machine-first", "cap-only"], "life")
    running.await_line("machine:qa-1", ["full-1"], "machine-first")
    running.await_line("machine:qa-2", ["cap-only"])
    gates["full-1"].open()
    assert running.await_batch("life") == "succeeded"

    full = only_run(running, "full-1")
    for name in ("machine-first", "cap-only"):
        ready, granted, started, finished = _moments(only_run(running, name))
        assert ready <= granted <= started <= finished
        assert started >= _moments(full)[3], "it has the slot that full-1 had"
        waited_for_machine = granted >= _moments(full)[3]
        assert waited_for_machine == (name == "machine-first")
    lives = [_moments(only_run(running, name)) for name in ("machine-first", "cap-only")]
    told = say("batch", "show", "life", "--json").document
    assert told["waits"]["machine_seconds"] == pytest.approx(_sum(lives, 0, 1), abs=0.01)
    assert told["waits"]["task_cap_seconds"] == pytest.approx(_sum(lives, 1, 2), abs=0.01)
    assert told["running_seconds"] == pytest.approx(_sum(lives, 2, 3), abs=0.01)


def _moments(run: RunRecord) -> list[datetime]:
    """Ready, granted, started, finished."""
    found = (run.ready_at, run.granted_at, run.started_at, run.finished_at)
    return [moment for moment in found if moment is not None]


def _sum(lives: list[list[datetime]], begin: int, end: int) -> float:
    return sum((life[end] - life[begin]).total_seconds() for life in lives)
