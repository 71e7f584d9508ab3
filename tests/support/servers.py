"""A private Redis for tests: the embedded server itself, in a short folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from deployengine.embedded.redis_server import EmbeddedRedis


@dataclass(frozen=True)
class RedisServer:
    """A running Redis that nobody else uses; ``url`` is redis-py's form."""

    url: str
    embedded: EmbeddedRedis

    def client(self, **options: Any) -> redis.Redis:
        """A new client of database 0; the caller closes it."""
        return redis.Redis.from_url(self.url, **options)


@contextmanager
def private_redis() -> Iterator[RedisServer]:
    """Starts a Redis, and stops it and removes its folder at the end."""
    home = Path(tempfile.mkdtemp(prefix="de-redis-"))
    embedded = EmbeddedRedis(home)
    try:
        yield RedisServer(embedded.ensure(), embedded)
    finally:
        embedded.stop()
        shutil.rmtree(home)
