"""Signs of life in Redis: a number for each worker, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from deployengine.domain.errors import Unreachable
from deployengine.locks import Beats

PREFIX = "test:beats"


def test_the_latest_number_of_each_worker_is_kept_until_it_is_struck_off(
    redis_client: redis.Redis,
) -> None:
    beats = Beats(redis_client, PREFIX)
    assert beats.beats() == {}
    beats.beat("a", 1)
    beats.beat("b", 1)
    beats.beat("a", 2)
    assert beats.beats() == {"a": 2, "b": 1}
    beats.forget(["a", "nobody"])
    assert beats.beats() == {"b": 1}


@pytest.mark.parametrize("decoded", [True, False])
def test_a_client_that_decodes_answers_or_does_not_reads_the_same(
    redis_client: redis.Redis, decoded: bool
) -> None:
    options = {**redis_client.connection_pool.connection_kwargs, "decode_responses": decoded}
    pool = redis.ConnectionPool(redis_client.connection_pool.connection_class, **options)
    with redis.Redis(connection_pool=pool) as client:
        beats = Beats(client, PREFIX)
        beats.beat("wörker", 3)
        assert beats.beats() == {"wörker": 3}
    pool.disconnect()


def test_two_engines_on_one_redis_know_nothing_of_each_other(redis_client: redis.Redis) -> None:
    Beats(redis_client, PREFIX).beat("a", 1)
    assert Beats(redis_client, "another").beats() == {}


def test_a_worker_is_remembered_for_ever_since_nothing_here_goes_by_a_clock(
    redis_client: redis.Redis,
) -> None:
    Beats(redis_client, PREFIX).beat("a", 1)
    (key,) = redis_client.keys()
    assert redis_client.ttl(key) == -1


def test_a_redis_that_is_not_there_is_told_as_one_that_cannot_be_reached(tmp_path: Path) -> None:
    with redis.Redis(unix_socket_path=str(tmp_path / "nobody")) as client:
        beats = Beats(client, PREFIX)
        with pytest.raises(Unreachable, match="Redis"):
            beats.beat("a", 1)
        with pytest.raises(Unreachable, match="Redis"):
            beats.beats()
        with pytest.raises(Unreachable, match="Redis"):
            beats.forget(["a"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://someone:hunter2@127.0.0.1:1/0", "redis://127.0.0.1:1"),
        ("rediss://:hunter2@127.0.0.1:1", "redis://127.0.0.1:1"),
        ("unix://someone:hunter2@/none/redis.sock", "unix:///none/redis.sock"),
    ],
)
def test_it_is_told_which_redis_that_is_without_its_password(url: str, shown: str) -> None:
    with redis.Redis.from_url(url) as client, pytest.raises(Unreachable) as told:
        Beats(client, PREFIX).beats()
    assert str(told.value).startswith(f"cannot reach Redis at {shown}; ")
    assert "hunter2" not in str(told.value)
