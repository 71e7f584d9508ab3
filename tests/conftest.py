"""Servers for the tests: real ones, private to this test process.

Under pytest-xdist each worker process makes its own, in a temporary folder apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis
from hypothesis import settings

from tests.support.postgres import PostgresServer, private_postgres
from tests.support.servers import RedisServer, private_redis

# A shared machine may be slow for a moment; how long an example takes proves nothing.
settings.register_profile("deployengine", deadline=None)
settings.load_profile("deployengine")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis for the whole run; tests that need it empty take ``redis_client``."""
    with private_redis() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the real Redis, which is empty when the test begins."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL for the whole run; each test takes ``create_database()``."""
    with private_postgres() as server:
        yield server


@pytest.fixture
def fake_redis() -> Iterator[fakeredis.FakeRedis]:
    """An empty Redis within this process that runs Lua, for tests that want no server."""
    with fakeredis.FakeRedis(server=fakeredis.FakeServer()) as client:
        yield client
