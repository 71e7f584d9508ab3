"""The transport for hints: what a closed channel and a full server look like to whoever sends."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from celery import Celery
from kombu import Queue

from deployengine.domain.errors import Unreachable
from deployengine.embedded.broker_url import broker_url
from deployengine.engine.ports import GrantedRun
from deployengine.queue.app import KEY_PREFIX, RUNS_QUEUE, make_app
from deployengine.queue.dispatcher import CeleryDispatcher
from tests.steps.gates import until
from tests.support.fakes import FakeClock
from tests.support.servers import RedisServer


@pytest.fixture
def dispatcher(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[CeleryDispatcher]:
    app = make_app(broker_url(redis_server.url))
    yield CeleryDispatcher(app, redis_client)
    app.close()


def granted(number: int, *, urgent: bool = False) -> GrantedRun:
    return GrantedRun(number, FakeClock().now(), f"run {number}", urgent)


def fetched(app: Celery, many: int) -> list[int]:
    """The numbers of so many runs, in the order in which a worker gets them."""
    numbers: list[int] = []
    with app.connection() as connection:
        consumer = connection.Consumer(
            Queue(RUNS_QUEUE), callbacks=[lambda body, _: numbers.append(body[0][0])]
        )
        consumer.qos(prefetch_count=1)
        with consumer:
            while len(numbers) < many:
                connection.drain_events(timeout=30)
    return numbers


def test_a_channel_that_was_closed_is_a_connection_that_is_gone(redis_server: RedisServer) -> None:
    with make_app(broker_url(redis_server.url)).connection() as connection:
        channel = connection.channel()
        channel.close()
        with pytest.raises(ConnectionError, match="was closed"):
            channel.queue_declare("anything")
        assert ConnectionError in connection.connection_errors or issubclass(
            ConnectionError, connection.connection_errors
        )


def test_a_server_that_lets_go_of_who_waits_in_it_counts_as_gone(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    with make_app(broker_url(redis_server.url)).connection() as connection:
        consumer = connection.Consumer(Queue(RUNS_QUEUE), callbacks=[])
        consumer.consume()

        def waiting() -> list[str]:
            return [each["id"] for each in redis_client.client_list() if each["cmd"] == "brpop"]

        with ThreadPoolExecutor(1) as threads:
            drained = threads.submit(connection.drain_events, timeout=30)
            until(lambda: bool(waiting()), "somebody to wait")
            redis_client.client_unblock(int(waiting()[0]), error=True)
            with pytest.raises(connection.connection_errors, match="UNBLOCKED"):
                drained.result(30)


def test_a_server_that_is_full_is_told_as_away_and_takes_messages_again_afterwards(
    dispatcher: CeleryDispatcher, redis_client: redis.Redis
) -> None:
    dispatcher.runs([granted(1)])
    redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unreachable):
            dispatcher.runs([granted(2)])
    finally:
        redis_client.config_set("maxmemory", "0")
    dispatcher.runs([granted(3)])
    assert redis_client.llen(f"{KEY_PREFIX}{RUNS_QUEUE}") == 2


def test_connections_that_were_cut_are_made_anew_without_a_word(
    dispatcher: CeleryDispatcher, redis_client: redis.Redis
) -> None:
    dispatcher.runs([granted(1)])
    redis_client.client_kill_filter(_type="normal", skipme=True)
    dispatcher.runs([granted(2)])
    dispatcher.cancel([1])
    assert dispatcher.backlog().runs == 2


def test_urgent_runs_are_fetched_before_all_others_and_among_them_the_first_comes_first(
    redis_server: RedisServer, dispatcher: CeleryDispatcher
) -> None:
    dispatcher.runs([granted(1), granted(2)])
    dispatcher.runs([granted(3, urgent=True), granted(4, urgent=True)])
    dispatcher.runs([granted(5, urgent=True)])
    assert dispatcher.backlog().runs == 5
    with make_app(broker_url(redis_server.url)) as app:
        assert fetched(app, 5) == [3, 4, 5, 1, 2]
    assert dispatcher.backlog().runs == 0
