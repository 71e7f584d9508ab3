"""Real machines: releases go to hosts that are reached by SSH, on live workers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.acceptance.catalogs import BEGIN, END, SHORT, catalog, project, step
from tests.support.bad_network import BadNetwork
from tests.support.engine import LiveEngine, until
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


def test_the_demos_batch_goes_by_ssh_to_one_four_and_thirty_machines(engine: LiveEngine) -> None:
    stages = {
        "QA": ["qa-1"],
        "Staging": [f"stg-{n}" for n in range(1, 5)],
        "Production": [f"prod-{n:02}" for n in range(1, 31)],
    }
    of = {name: stage for stage, names in stages.items() for name in names}
    with fleet(list(of)) as targets:
        engine.apply(
            catalog(
                project("app-[01:50]", process=[step(SHORT, roles=["web"])]),
                environments=list(STAGES),
                machines=[target.machine(of[target.name]) for target in targets],
                lifecycles=[AUTO],
            )
        )
        engine.worker(task_cap=32)
        names = [f"app-{n:02}" for n in range(1, 51)]
        engine.batch(names)
        assert engine.await_batch(timeout=180) == "succeeded"
        for target in targets:
            assert sorted(target.began()) == names
            assert target.clashes() == []


def test_a_script_on_a_machine_outlives_its_worker_and_another_picks_it_up_from_anywhere() -> None:
    with LiveEngine(DEPLOYENGINE_LEASE="1.5") as engine, fleet(["qa-1"]) as (target,):
        gate = engine.gate("app")
        script = f"{BEGIN}echo before\nread -r _ < {engine.scratch}/app\necho after\n{END}"
        engine.apply(
            catalog(project("app", process=[step(script)]), machines=[target.machine("QA")])
        )
        first = engine.worker()
        engine.create("app")
        until(lambda: target.began() == ["app"], "the script has begun")
        first.kill()
        first.wait()
        engine.worker()
        (deployment,) = engine.deployments()
        until(
            lambda: engine.detail(deployment.id).runs[0].worker not in (None, _name(first)),
            "another worker has taken it over",
        )
        gate.open()
        assert engine.await_end(deployment.id) == "succeeded"
        (run,) = engine.detail(deployment.id).runs
        said = "".join(text for _, text in engine.services.queries.output(run.id))
        assert said == "before\nafter\n"
        assert target.began() == ["app"]


def _name(worker: subprocess.Popen[bytes]) -> str:
    return f"worker-{worker.pid}"


def test_a_machine_that_goes_away_in_the_middle_is_waited_for_and_cancelled_when_it_is_back(
    engine: LiveEngine,
) -> None:
    with fleet(["qa-1"]) as (target,), BadNetwork(target.server.port) as network:
        gate = engine.gate("app")
        script = f"{BEGIN}read -r _ < {engine.scratch}/app\n{END}"
        far = target.machine("QA", port=network.port)
        engine.apply(catalog(project("app", process=[step(script)]), machines=[far]))
        engine.worker()
        engine.create("app")
        until(lambda: target.began() == ["app"], "the script has begun")
        network.deaf = True
        network.cut()
        gate.open()
        until(lambda: len(target.journal()) == 2, "the script has ended while nobody saw it")
        (deployment,) = engine.deployments()
        assert engine.detail(deployment.id).runs[0].state == "running"
        network.deaf = False
        assert engine.await_end(deployment.id) == "succeeded"


def test_a_start_that_is_lost_for_good_is_unknown_and_begun_at_most_once(
    engine: LiveEngine,
) -> None:
    with fleet(["qa-1"]) as (target,), BadNetwork(target.server.port) as network:
        far = target.machine("QA", port=network.port, patience="0.5s")
        engine.gate("app")
        script = f"{BEGIN}read -r _ < {engine.scratch}/app\n{END}"
        engine.apply(catalog(project("app", process=[step(script)]), machines=[far]))
        engine.worker()
        engine.create("app")
        until(lambda: target.began() == ["app"], "the script has begun")
        network.deaf = True
        network.cut()
        (deployment,) = engine.deployments()
        assert engine.await_end(deployment.id) == "failed"
        (run,) = engine.detail(deployment.id).runs
        assert run.state == "unknown"
        assert "out of reach for more than 0.5 s" in str(run.message)
        assert "qa-1" in str(run.message)
        assert target.began() == ["app"]
