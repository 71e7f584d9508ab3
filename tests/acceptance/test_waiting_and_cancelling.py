"""What becomes of a batch that is cancelled."""

from __future__ import annotations

from tests.acceptance.catalogs import HELD, bypassing, catalog, project
from tests.support.engine import LiveEngine, until


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
