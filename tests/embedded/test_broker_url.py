"""The broker's URL, read by kombu itself and tried over the real server."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import pytest
import redis
from kombu import Connection

from deployengine.embedded.redis_server import EmbeddedRedis, broker_url
from tests.support.servers import RedisServer


@pytest.mark.parametrize("url", ["redis://host:6379/3", "redis://:p%40ss@host:6380/0", "redis://h"])
def test_a_url_over_tcp_passes_through(url: str):
    assert broker_url(url) == url


def test_a_database_given_as_a_parameter_goes_into_the_path():
    assert broker_url("redis://host:6379?db=2") == "redis://host:6379/2"
    assert Connection(broker_url("redis://host:6379?db=2")).virtual_host == "2"


def test_with_tls_the_certificate_is_checked_unless_the_url_says_otherwise():
    checked = Connection(broker_url("rediss://host:6380/0"))
    unchecked = Connection(broker_url("rediss://host:6380/0?ssl_cert_reqs=none"))

    assert checked.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert unchecked.ssl == {"ssl_cert_reqs": ssl.CERT_NONE}


def test_a_socket_is_spelt_as_kombu_wants_it():
    assert broker_url("unix:///run/r.sock?db=4") == "redis+socket:///run/r.sock?virtual_host=4"
    assert broker_url("unix:///run/r.sock") == "redis+socket:///run/r.sock?virtual_host=0"
    assert (
        broker_url("unix://me@/r.sock?db=0&password=p%40+s")
        == "redis+socket://me:p%40%20s@/r.sock?virtual_host=0"
    )


def send_and_receive(url: str) -> object:
    with Connection(broker_url(url)) as connection, connection.SimpleQueue("letters") as queue:
        queue.put({"hello": "there"})
        message = queue.get(timeout=10)
        message.ack()
        return message.payload


def test_a_message_lies_in_the_database_that_was_named(redis_server: RedisServer):
    url = redis_server.url.replace("db=0", "db=5")

    with Connection(broker_url(url)) as connection, connection.SimpleQueue("letters") as queue:
        queue.put({"hello": "there"})
        with redis.Redis.from_url(url) as client:
            assert client.llen("letters") == 1
            client.flushdb()


def test_a_message_goes_through_a_socket_with_an_awkward_name():
    with tempfile.TemporaryDirectory(prefix="de-") as folder:
        server = EmbeddedRedis(Path(folder) / "a b;c+ü%20")
        try:
            assert send_and_receive(server.ensure()) == {"hello": "there"}
        finally:
            server.stop()


def test_a_password_reaches_the_embedded_server():
    with tempfile.TemporaryDirectory(prefix="de-") as folder:
        server = EmbeddedRedis(Path(folder))
        url = server.ensure()
        try:
            with redis.Redis.from_url(url) as client:
                client.config_set("requirepass", "p@ss w/ö")
            assert send_and_receive(f"{url}&password=p%40ss%20w%2F%C3%B6") == {"hello": "there"}
        finally:
            with redis.Redis.from_url(f"{url}&password=p%40ss%20w%2F%C3%B6") as client:
                client.config_set("requirepass", "")
            server.stop()
