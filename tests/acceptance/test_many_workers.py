"""Workers come and go; nothing is lost and nothing runs twice."""

from __future__ import annotations

import signal
from collections import Counter

import psutil
import redis

from tests.acceptance.catalogs import BEGIN, END, catalog, project, three_stages
from tests.support.engine import LiveEngine, until
from tests.support.postgres import PostgresServer
from tests.support.servers import RedisServer

#: Ends at once, but for the Staging machines, where it waits at the gate ``middle``.
HELD_IN_THE_MIDDLE = (
    BEGIN + 'case $DEPLOYENGINE_MACHINE in stg-*) read -r _ < "$SCRATCH/middle" ;; esac\n' + END
)


def test_two_workers_on_postgresql_share_a_batch_and_one_may_leave_in_the_middle(
    postgres_server: PostgresServer, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    urls = {
        "DEPLOYENGINE_DATABASE_URL": postgres_server.create_database(),
        "DEPLOYENGINE_REDIS_URL": redis_server.url,
    }
    with LiveEngine(**urls) as engine:
        middle = engine.gate("middle")
        assert engine.cli("database", "upgrade").code == 0
        engine.apply(three_stages(project("app-[1:6]", HELD_IN_THE_MIDDLE)))
        leaving, staying = engine.worker(task_cap=1), engine.worker(task_cap=1)
        engine.batch([f"app-{n}" for n in range(1, 7)])
        workers = until(lambda: _both_at_work(engine), "each worker runs a script in Staging")
        assert any(f"worker-{leaving.pid}@" in name for name in workers)

        leaving.send_signal(signal.SIGTERM)
        middle.open(2 * 6)

        assert engine.await_batch() == "succeeded"
        assert leaving.wait(timeout=45) == 0
        assert staying.poll() is None
        assert_each_ran_once(engine)


def _both_at_work(engine: LiveEngine) -> set[str]:
    on_staging = [d for d in engine.deployments("Staging") if d.state == "running"]
    runs = [r for d in on_staging for r in engine.detail(d.id).runs if r.state == "running"]
    workers = {r.worker for r in runs if r.worker}
    return workers if len(workers) == 2 else set()


def assert_each_ran_once(engine: LiveEngine) -> None:
    """Every run of the engine began and ended once, says the machines' own journals."""
    runs = [run for d in engine.deployments() for run in engine.detail(d.id).runs]
    for name in {run.machine for run in runs}:
        wanted = Counter(f"run-{run.id}" for run in runs if run.machine == name)
        for event in ("begin", "end"):
            told = Counter(e.run for e in engine.journal(name) if e.event == event)
            assert told == wanted, f"{event} on {name}"


def test_a_worker_alone_carries_a_release_to_its_end(engine: LiveEngine) -> None:
    engine.apply(three_stages(project("app")))
    engine.worker()
    engine.batch(["app"])
    assert engine.await_batch() == "succeeded"
    assert_each_ran_once(engine)


def test_a_worker_that_is_killed_takes_its_companion_along(engine: LiveEngine) -> None:
    engine.apply(catalog(project("app")))
    worker = engine.worker()
    (companion,) = until(psutil.Process(worker.pid).children, "the companion is there")

    worker.kill()
    worker.wait()

    until(lambda: not companion.is_running(), "the companion's end")
