"""The tasks: each takes ids and makes one engine call; its answer says whether the chain goes on.

Celery's own tracer runs them, over a real Redis, so that what ends a chain is what ends one there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import trace_task
from celery.worker import state as worker_state
from redis import Redis

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import Unreachable
from deployengine.embedded.broker_url import broker_url
from deployengine.engine.ports import GrantedRun, Link, LinkKind
from deployengine.engine.step_runs import Outcome
from deployengine.queue.app import (
    BEGIN,
    CONTROL_QUEUE,
    FINISH,
    KEY_PREFIX,
    RUN,
    RUNS_QUEUE,
    STEP,
    make_app,
)
from deployengine.queue.dispatcher import CeleryDispatcher
from deployengine.queue.transport import URGENT
from tests.support.servers import RedisServer
from workers.tasks import register_links, register_runs

GRANTED = datetime(2025, 3, 1, 12, 0, 0, 123456, UTC)


class Engine:
    """What the tasks call, answering as it is told; both use cases in one, since it only notes."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.goes_on = True
        self.out_of_reach = False
        self.outcome: Outcome | None = Outcome(RunState.SUCCEEDED, 0)

    @property
    def phases(self) -> Engine:
        return self

    @property
    def step_runs(self) -> Engine:
        return self

    def begin(self, number: int) -> bool:
        self.calls.append(("begin", number))
        return self.goes_on

    def open_stage(self, number: int, position: int) -> bool:
        self.calls.append(("open_stage", number, position))
        return self.goes_on

    def finish(self, number: int) -> None:
        self.calls.append(("finish", number))

    @property
    def dispatcher(self) -> Engine:
        return self

    def runs(self, granted: Sequence[GrantedRun]) -> None:
        self.calls.append(("runs", [(r.run_id, r.granted_at, r.urgent) for r in granted]))

    def execute(self, number: int, granted_at: datetime) -> Outcome | None:
        self.calls.append(("execute", number, granted_at))
        if self.out_of_reach:
            raise Unreachable("the database", "somewhere")
        return self.outcome


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def closing() -> Iterator[None]:
    """Celery's word for a worker that ends when its tasks have ended."""
    worker_state.should_stop = 0
    yield
    worker_state.should_stop = None


@pytest.fixture
def app(redis_server: RedisServer, redis_client: Redis, engine: Engine) -> Iterator[Celery]:
    app = make_app(broker_url(redis_server.url))
    register_links(app, engine)  # type: ignore[arg-type]
    register_runs(app, engine)  # type: ignore[arg-type]
    yield app
    app.close()


def trace(
    app: Celery, name: str, *args: object, chain: list[Any] | None = None, **delivery: Any
) -> Any:
    """Runs a task as a worker does: what it returned, or the failure that it told."""
    request: dict[str, Any] = {
        "id": "one",
        "args": args,
        "kwargs": {},
        "argsrepr": "app 1.0 → QA",
        "chain": chain,
        "delivery_info": delivery,
    }
    return trace_task(app.tasks[name], "one", args, {}, request, app=app)


def links_in_queue(client: Redis) -> int:
    return int(client.llen(f"{KEY_PREFIX}{CONTROL_QUEUE}"))


def rest_of_chain(app: Celery) -> list[Any]:
    """One further link, as Celery carries it along."""
    return [app.signature(FINISH, args=(5,), immutable=True, options={"queue": CONTROL_QUEUE})]


def test_each_link_makes_the_one_call_that_it_is_named_after(app: Celery, engine: Engine) -> None:
    trace(app, BEGIN, 5)
    trace(app, STEP, 5, 2)
    trace(app, FINISH, 5)
    assert engine.calls == [("begin", 5), ("open_stage", 5, 2), ("finish", 5)]


@pytest.mark.parametrize(("name", "args"), [(BEGIN, (5,)), (STEP, (5, 0))])
@pytest.mark.parametrize("goes_on", [True, False])
def test_the_chain_goes_on_exactly_when_the_engine_says_so(
    app: Celery,
    engine: Engine,
    redis_client: Redis,
    name: str,
    args: tuple[int, ...],
    goes_on: bool,
) -> None:
    engine.goes_on = goes_on
    trace(app, name, *args, chain=rest_of_chain(app))
    assert links_in_queue(redis_client) == (1 if goes_on else 0)


def test_a_run_is_carried_out_with_the_instant_of_its_grant(app: Celery, engine: Engine) -> None:
    told = trace(app, RUN, 7, GRANTED.timestamp())
    assert engine.calls == [("execute", 7, GRANTED)]
    assert told.retval == "succeeded"


def test_a_run_that_came_twice_is_no_failure(app: Celery, engine: Engine) -> None:
    engine.outcome = None
    assert trace(app, RUN, 7, 0.0).retval == "not waiting any more"


def test_a_run_that_cannot_be_claimed_now_is_no_fault_of_the_program(
    app: Celery, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.out_of_reach = True
    told = trace(app, RUN, 7, 0.0)
    assert told.info.state == "FAILURE"
    assert isinstance(told.info.retval, Unreachable)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("priority", "urgent"), [(0, False), (URGENT, True)])
def test_a_run_that_comes_in_while_its_worker_closes_is_handed_to_another_as_urgent_as_it_was(
    app: Celery, engine: Engine, closing: None, priority: int, urgent: bool
) -> None:
    trace(app, RUN, 7, GRANTED.timestamp(), priority=priority)
    assert engine.calls == [("runs", [(7, GRANTED, urgent)])]


def test_a_run_whose_machine_is_left_out_is_no_failure(app: Celery, engine: Engine) -> None:
    engine.outcome = Outcome(RunState.SKIPPED, None, "m-1 is away", absent="unavailable")
    assert trace(app, RUN, 7, 0.0).retval == "skipped"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.UNKNOWN])
def test_a_script_that_ended_badly_is_shown_as_a_failure_to_who_watches(
    app: Celery, engine: Engine, state: RunState
) -> None:
    engine.outcome = Outcome(state, 3, "exit code 3")
    told = trace(app, RUN, 7, 0.0)
    assert told.info.state == "FAILURE"
    assert str(told.info.retval) == f"run-7 {state}: exit code 3"


def test_a_worker_of_runs_knows_no_links_and_one_of_links_no_runs(
    redis_server: RedisServer, engine: Engine
) -> None:
    url = broker_url(redis_server.url)
    runs, links = make_app(url), make_app(url)
    register_runs(runs, engine)  # type: ignore[arg-type]
    register_links(links, engine)  # type: ignore[arg-type]
    own = {BEGIN, STEP, FINISH, RUN}
    assert own & set(runs.tasks) == {RUN}
    assert own & set(links.tasks) == {BEGIN, STEP, FINISH}


def test_what_the_dispatcher_sends_is_what_the_tasks_are_called(
    app: Celery, redis_client: Redis
) -> None:
    dispatcher = CeleryDispatcher(app, redis_client)
    dispatcher.chain(
        [
            Link(LinkKind.BEGIN, 5, 0, "app 1.0 → QA"),
            Link(LinkKind.STEP, 5, 0, "app 1.0 → QA · Install"),
            Link(LinkKind.FINISH, 5, 0, "app 1.0 → QA"),
        ]
    )
    assert (dispatcher.backlog().links, dispatcher.backlog().runs) == (1, 0)
    assert links_in_queue(redis_client) == 1
    assert redis_client.llen(f"{KEY_PREFIX}{RUNS_QUEUE}") == 0
