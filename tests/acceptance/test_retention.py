"""Housekeeping lets go what no phase keeps, while releases go on their way beside it."""

from __future__ import annotations

from tests.acceptance.catalogs import catalog, machine, project
from tests.support.engine import LiveEngine, until

STAGES = ("QA", "Staging", "Production")
KEPT = [{"name": stage, "automatic": [stage], "keep_releases": 1} for stage in STAGES]


def test_only_what_is_current_and_its_predecessor_are_left_after_a_while(
    engine: LiveEngine,
) -> None:
    engine.environ["DEPLOYENGINE_RETENTION_INTERVAL"] = "1"
    machines = [machine(stage.lower(), stage) for stage in STAGES]
    lifecycles = [{"name": "auto", "phases": KEPT}]
    engine.apply(
        catalog(project("app"), environments=list(STAGES), machines=machines, lifecycles=lifecycles)
    )
    engine.worker()
    for version in ("1.0", "2.0", "3.0", "4.0", "5.0"):
        engine.batch(["app"], version, version)
        assert engine.await_batch(version) == "succeeded", "each comes to Production"

    def versions() -> list[str]:
        with engine.services.database.read() as tx:
            return tx.releases.versions("app")

    until(lambda: versions() == ["4.0", "5.0"], "all others are gone")
    assert engine.services.batches.progress("1.0").state == "removed"
    assert engine.json("audit", "verify")["right"]
    gone = engine.json("audit", "list", "--action", "retention.apply")
    assert {event["who"] for event in gone} == {"deployengine"}
    named = [name for event in gone for name in event["after"].get("releases", ())]
    assert sorted(named) == ["app 1.0", "app 2.0", "app 3.0"]
