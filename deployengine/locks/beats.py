"""Signs of life in Redis: the witness beside the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from deployengine.domain.errors import Unreachable
from deployengine.locks.keys import text


class Beats:
    """One hash: a worker's name, and how many signs of life it has given."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._key = f"{{{prefix}}}:beats"

    def beat(self, name: str, number: int) -> None:
        """Keeps the number of a worker's latest sign of life."""
        with reachable(self._client):
            self._client.hset(self._key, name, str(number))

    def beats(self) -> Mapping[str, int]:
        """The latest number of each worker that is known here."""
        with reachable(self._client):
            return {
                text(name): int(value) for name, value in self._client.hgetall(self._key).items()
            }

    def forget(self, names: Sequence[str]) -> None:
        """Strikes workers off."""
        with reachable(self._client):
            self._client.hdel(self._key, *names)


@contextmanager
def reachable(client: Redis) -> Iterator[None]:
    """Turns what redis-py raises into the error people are told."""
    try:
        yield
    except RedisError as error:
        advice = f"{error}; check DEPLOYENGINE_REDIS_URL and that it runs and has memory"
        raise Unreachable("Redis", address(client), advice) from error


def address(client: Redis) -> str:
    """Where a client's server is, for people: never with its password."""
    found = client.connection_pool.connection_kwargs
    if "path" in found:
        return f"unix://{found['path']}"
    return f"redis://{found.get('host', 'localhost')}:{found.get('port', 6379)}"
