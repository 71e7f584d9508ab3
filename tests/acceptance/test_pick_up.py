"""Workers, companions and Redis die or stand still; every script is seen to its one end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

from deployengine.persistence.records import RunRecord
from tests.acceptance.catalogs import BEGIN, END, catalog, machine, project
from tests.acceptance.test_many_workers import assert_each_ran_once
from tests.support.engine import Gate, LiveEngine, until

LEASE = 1.5

#: Prints, waits at the gate ``app`` and prints on.
TALKING = BEGIN + 'echo before\nread -r _ < "$SCRATCH/app"\necho after\n' + END
SAID = "before\nafter\n"


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    """An engine whose workers are missed soon."""
    with LiveEngine(DEPLOYENGINE_LEASE=str(LEASE)) as live:
        yield live


def runs(engine: LiveEngine) -> list[RunRecord]:
    """All runs, the oldest first."""
    return [run for d in engine.deployments() for run in engine.detail(d.id).runs]


def output(engine: LiveEngine, run: RunRecord) -> str:
    return "".join(text for _, text in engine.services.queries.output(run.id))


def begin(engine: LiveEngine, machines: int = 1) -> Gate:
    """Scripts that have printed and wait at a gate, on so many machines, one each."""
    gate = engine.gate("app")
    names = [f"qa-{number + 1}" for number in range(machines)]
    engine.apply(catalog(project("app", TALKING), machines=[machine(name, "QA") for name in names]))
    engine.create("app")
    for name in names:
        engine.await_inside(name, "app")
    until(
        lambda: all(output(engine, run) == "before\n" for run in runs(engine)),
        "the beginning of all output in the database",
    )
    return gate


def companions(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes beside a worker that are no scripts."""
    children = psutil.Process(worker.pid).children()
    return [child for child in children if "workers" in child.cmdline()]


def kill(*processes: subprocess.Popen[bytes]) -> None:
    """Ends them at once, with no chance to say anything."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def owners(engine: LiveEngine) -> set[str]:
    """The process ids of the workers that the running scripts are on record with."""
    found = [run.worker for run in runs(engine) if run.state == "running" and run.worker]
    return {name.removeprefix("worker-").partition("@")[0] for name in found}


def await_owner(engine: LiveEngine, worker: subprocess.Popen[bytes]) -> None:
    """Until all that runs is on record with this worker."""
    until(lambda: owners(engine) == {str(worker.pid)}, f"all runs with {worker.pid}")


def assert_well(engine: LiveEngine) -> None:
    """Every run has succeeded at its first attempt, ran once, and its output is whole."""
    (deployment,) = engine.deployments()
    assert engine.await_end(deployment.id) == "succeeded"
    assert {(run.state.value, run.attempt) for run in runs(engine)} == {("succeeded", 1)}
    assert_each_ran_once(engine)
    assert Counter(output(engine, run) for run in runs(engine)) == {SAID: len(runs(engine))}


def test_when_the_only_worker_is_killed_the_next_one_sees_its_script_to_the_end(
    engine: LiveEngine,
) -> None:
    first = engine.worker()
    gate = begin(engine)
    kill(first)
    assert engine.inside("qa-1") == {"app"}, "the script runs on"
    second = engine.worker()
    await_owner(engine, second)
    gate.open()
    assert_well(engine)


def test_a_script_that_ends_while_there_is_no_worker_is_recorded_as_it_ended(
    engine: LiveEngine,
) -> None:
    first = engine.worker()
    gate = begin(engine)
    kill(first)
    gate.open()
    engine.await_inside("qa-1")
    engine.worker()
    assert_well(engine)


def test_when_all_workers_are_killed_at_once_a_single_one_brings_everything_to_its_end(
    engine: LiveEngine,
) -> None:
    workers = [engine.worker(task_cap=2) for _ in range(3)]
    gate = begin(engine, machines=5)
    assert len(owners(engine)) >= 2
    kill(*workers)
    last = engine.worker(task_cap=1)
    await_owner(engine, last)
    gate.open(5)
    assert_well(engine)


def test_workers_may_be_killed_again_and_again(engine: LiveEngine) -> None:
    worker = engine.worker()
    gate = begin(engine, machines=2)
    for _ in range(3):
        kill(worker)
        worker = engine.worker()
        await_owner(engine, worker)
    gate.open(2)
    assert_well(engine)


def test_a_worker_that_is_told_to_end_at_once_hands_its_script_over_at_once() -> None:
    # A lease so long that nobody would look or miss anybody within this test.
    with LiveEngine(DEPLOYENGINE_LEASE="600") as engine:
        first, second = engine.worker(), engine.worker()
        gate = begin(engine)
        (owner,) = owners(engine)
        leaving, staying = (first, second) if str(first.pid) == owner else (second, first)
        leaving.send_signal(signal.SIGQUIT)
        await_owner(engine, staying)
        assert leaving.wait(timeout=45) == 0
        gate.open()
        assert_well(engine)


def test_a_worker_that_stood_still_for_longer_than_its_lease_says_so_and_harms_nothing(
    engine: LiveEngine,
) -> None:
    first = engine.worker()
    gate = begin(engine)
    second = engine.worker()
    first.send_signal(signal.SIGSTOP)
    try:
        await_owner(engine, second)
    finally:
        first.send_signal(signal.SIGCONT)
    until(lambda: "was declared lost" in engine.logs(), "the woken worker's word")
    said = next(line for line in engine.logs().splitlines() if "was declared lost" in line)
    assert f"worker-{first.pid}@" in said
    assert "its runs go to other workers, and this process goes on as" in said
    gate.open()
    assert_well(engine)
    assert first.poll() is None
    # It is a worker like any other again, alone too.
    assert engine.end(second) == 0
    (again,) = engine.create("app", version="2.0")
    gate.open()
    assert engine.await_end(again.id) == "succeeded"


def test_a_companion_that_is_killed_is_replaced_and_the_releases_go_on(
    engine: LiveEngine,
) -> None:
    worker = engine.worker()
    gate = begin(engine)
    (companion,) = companions(worker)
    companion.kill()
    gate.open()
    assert_well(engine)
    (replacement,) = companions(worker)
    assert replacement.pid != companion.pid


def test_a_script_whose_worker_was_killed_can_be_cancelled_and_the_next_worker_ends_it(
    engine: LiveEngine,
) -> None:
    worker = engine.worker()
    begin(engine)
    kill(worker)
    (deployment,) = engine.deployments()
    engine.json("deployment", "cancel", f"dep-{deployment.id}")
    assert engine.inside("qa-1") == {"app"}
    engine.worker()
    assert engine.await_end(deployment.id) == "cancelled"
    (run,) = runs(engine)
    assert (run.state, output(engine, run)) == ("cancelled", "before\n")
    assert [entry.event for entry in engine.journal("qa-1")] == ["begin"]
    scripts = [line for line in engine.living() if "wrapper.sh" in line]
    assert scripts == []


def test_a_redis_that_is_emptied_costs_no_worker_its_script(engine: LiveEngine) -> None:
    first, second = engine.worker(), engine.worker()
    gate = begin(engine, machines=2)
    before = owners(engine)
    for _ in range(3):
        engine.services.redis.flushall()
    beats = engine.services.beats
    until(lambda: len(beats.beats()) == 2, "a sign of life of both")
    assert owners(engine) == before
    gate.open(2)
    assert_well(engine)
    assert (first.poll(), second.poll()) == (None, None)
    assert "is lost" not in engine.logs()


def test_a_redis_that_is_killed_while_scripts_run_comes_again_and_nothing_is_lost(
    engine: LiveEngine,
) -> None:
    engine.worker()
    gate = begin(engine, machines=2)
    server = int((engine.settings.redis_dir / "redis.pid").read_text())
    os.kill(server, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(server), "the end of Redis")
    gate.open(2)
    assert_well(engine)
    (again,) = engine.create("app", version="2.0")
    gate.open(2)
    assert engine.await_end(again.id) == "succeeded"
    assert "is lost" not in engine.logs()


def test_worker_and_redis_are_killed_together_and_one_worker_makes_all_well(
    engine: LiveEngine,
) -> None:
    worker = engine.worker()
    gate = begin(engine, machines=2)
    kill(worker)
    server = int((engine.settings.redis_dir / "redis.pid").read_text())
    os.kill(server, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(server), "the end of Redis")
    last = engine.worker()
    await_owner(engine, last)
    gate.open(2)
    assert_well(engine)
