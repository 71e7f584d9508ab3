"""Waiting costs no slot."""

from __future__ import annotations

from tests.acceptance.catalogs import HELD, SHORT, catalog, machine, project
from tests.support.engine import LiveEngine, until

TWO_DOORS = [
    {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]},
    {"name": "aside", "phases": [{"name": "Other", "automatic": ["Other"]}]},
]


def test_forty_that_wait_for_one_machine_hold_back_nobody_elsewhere(engine: LiveEngine) -> None:
    crowd = [f"crowd-{n:02}" for n in range(1, 42)]
    free = [f"free-{n}" for n in range(1, 9)]
    waits = HELD.replace("$SCRATCH/$DEPLOYENGINE_PROJECT", "$SCRATCH/crowd")
    gate = engine.gate("crowd")
    engine.apply(
        catalog(
            project("crowd-[01:41]", waits),
            project("free-[1:8]", SHORT, lifecycle="aside"),
            environments=["QA", "Other"],
            machines=[machine("qa-1", "QA"), machine("other-1", "Other")],
            lifecycles=TWO_DOORS,
        )
    )
    engine.worker(task_cap=4)
    engine.batch(crowd, "crowd")
    until(lambda: _waiters(engine) == 40, "forty wait for qa-1, one runs there")

    engine.batch(free, "free")
    assert engine.await_batch("free") == "succeeded"

    assert _waiters(engine) == 40
    assert len(engine.inside("qa-1")) == 1
    engine.services.batches.cancel("crowd")
    gate.open(41)
    assert engine.await_batch("crowd") == "cancelled"
    assert len(engine.begun("qa-1")) == 1, "none was let in only to be cancelled"


def _waiters(engine: LiveEngine) -> int:
    views = engine.services.queries.locks("qa-1")
    return sum(len(v.waiters) for v in views if v.resource == "machine:qa-1")
