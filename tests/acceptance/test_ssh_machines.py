"""Real machines: releases go to hosts that are reached by SSH, on live workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.catalogs import SHORT, catalog, project, step
from tests.support.engine import LiveEngine
from tests.support.fleet import Target, fleet, uid_of

STAGES = ("QA", "Staging", "Production")
AUTO = {"name": "auto", "phases": [{"name": s, "automatic": [s]} for s in STAGES]}


@pytest.fixture(scope="module")
def three() -> Iterator[list[Target]]:
    """Three machines with users of their own."""
    with fleet(["qa-1", "stg-1", "prod-1"], own_users=True) as targets:
        yield targets


def test_three_machines_with_own_ports_users_and_folders_carry_a_batch_of_fifty(
    engine: LiveEngine, three: list[Target]
) -> None:
    machines = [target.machine(stage) for target, stage in zip(three, STAGES, strict=True)]
    engine.apply(
        catalog(
            project("app-[01:50]", process=[step(SHORT, roles=["web"])]),
            environments=list(STAGES),
            machines=machines,
            lifecycles=[AUTO],
        )
    )
    engine.worker(task_cap=8)
    names = [f"app-{n:02}" for n in range(1, 51)]
    engine.batch(names)
    assert engine.await_batch() == "succeeded"
    for target in three:
        assert sorted(target.began()) == names
        assert target.clashes() == []
        assert uid_of(target.workdir / "journal") == target.server.user
    assert len({target.server.user for target in three}) == 3
