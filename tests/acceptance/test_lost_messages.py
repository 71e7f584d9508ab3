"""Housekeeping finds what got lost and sends it again; that may take its time, and harms nobody."""

from __future__ import annotations

from deployengine.queue.app import KEY_PREFIX, RUNS_QUEUE
from tests.acceptance.catalogs import catalog, project, three_stages
from tests.acceptance.test_many_workers import HELD_IN_THE_MIDDLE, assert_each_ran_once
from tests.support.engine import LiveEngine, until

RUNS = f"{KEY_PREFIX}{RUNS_QUEUE}"


def test_a_redis_that_is_emptied_in_the_middle_of_a_batch_costs_no_run_and_repeats_none(
    engine: LiveEngine,
) -> None:
    middle = engine.gate("middle")
    engine.apply(three_stages(project("app-[1:4]", HELD_IN_THE_MIDDLE)))
    engine.worker()
    engine.batch([f"app-{n}" for n in range(1, 5)])
    until(lambda: all(engine.inside(m) for m in ("stg-1", "stg-2")), "two scripts in Staging")

    engine.services.redis.flushall()
    middle.open(2 * 4)

    assert engine.await_batch(timeout=90) == "succeeded"
    assert_each_ran_once(engine)


def test_a_message_that_is_lost_on_the_way_to_a_worker_is_sent_again(engine: LiveEngine) -> None:
    engine.apply(catalog(project("app")))
    engine.start("housekeeping")
    (deployment,) = engine.create("app")
    redis = engine.services.redis
    until(lambda: redis.llen(RUNS) == 1, "the run is on its way")

    assert redis.lpop(RUNS)
    engine.start("worker", "--no-housekeeping")

    assert engine.await_end(deployment.id) == "succeeded"
    assert_each_ran_once(engine)
