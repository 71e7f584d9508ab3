"""The servers that other tests rely on are what they promise."""

from __future__ import annotations

import fakeredis
import redis
from sqlalchemy import create_engine, text

from tests.support.postgres import PostgresServer, find_binaries
from tests.support.servers import RedisServer

LUA = "return redis.call('incrby', KEYS[1], ARGV[1])"


def test_the_redis_client_is_empty_and_real(redis_client: redis.Redis, redis_server: RedisServer):
    assert redis_client.dbsize() == 0
    assert redis_client.eval(LUA, 1, "n", 2) == 2
    with redis_server.client(decode_responses=True) as other:
        assert other.get("n") == "2"


def test_the_redis_client_of_the_next_test_is_empty_again(redis_client: redis.Redis):
    assert redis_client.dbsize() == 0


def test_the_fake_redis_runs_lua(fake_redis: fakeredis.FakeRedis):
    assert fake_redis.eval(LUA, 1, "n", 2) == 2


def test_every_postgres_database_is_new_and_apart(postgres_server: PostgresServer):
    first, second = postgres_server.create_database(), postgres_server.create_database()

    for url in (first, second):
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (x int)"))
            assert connection.execute(text("SHOW fsync")).scalar() == "off"
        engine.dispose()
    assert first != second


def test_the_programs_of_postgres_are_found():
    assert (find_binaries() / "initdb").exists()
