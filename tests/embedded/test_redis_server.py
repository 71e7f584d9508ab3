"""The embedded Redis, over real servers: started once, reused, raced for, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis

from deployengine.domain.errors import RequestError, Unreachable
from deployengine.embedded.private_folder import LONGEST_SOCKET_PATH
from deployengine.embedded.redis_server import EmbeddedRedis
from deployengine.embedded.server_binary import ServerBinary

ENSURE = """
import sys
from pathlib import Path
from deployengine.embedded.redis_server import EmbeddedRedis
print("ready", flush=True)
sys.stdin.readline()
print(EmbeddedRedis(Path(sys.argv[1])).ensure())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A short home, whose server is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="de-"))
    yield folder
    EmbeddedRedis(folder).stop()
    shutil.rmtree(folder)


def process_of(url: str) -> psutil.Process:
    with redis.Redis.from_url(url) as client:
        return psutil.Process(client.info("server")["process_id"])


def lives(process: psutil.Process) -> bool:
    # Ended, but not yet collected by the system's first process, is not alive.
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def servers_of(home: Path) -> list[psutil.Process]:
    # A server keeps no command line of its own choosing, but it does keep its folder.
    folder = str(home / "redis")
    return [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == folder]


def program(path: Path, script: str) -> ServerBinary:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return ServerBinary(path, "redis", (8, 2, 2))


def other_process(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_it_starts_answers_and_stops(home: Path):
    server = EmbeddedRedis(home)
    assert not server.running()

    url = server.ensure()

    process = process_of(url)
    assert server.running()
    assert server.version.startswith(("redis ", "valkey "))
    server.stop()
    assert not server.running()
    assert not lives(process)
    assert not list((home / "redis").glob("redis.*")), "neither socket nor process id is left"


def test_asking_and_stopping_where_nothing_runs_makes_nothing(tmp_path: Path):
    server = EmbeddedRedis(tmp_path / "home")

    assert not server.running()
    server.stop()
    server.stop()

    assert not (tmp_path / "home").exists()
    with pytest.raises(Unreachable):
        _ = server.version


def test_it_listens_for_its_owner_alone_and_keeps_nothing_and_evicts_nothing(home: Path):
    url = EmbeddedRedis(home).ensure()

    with redis.Redis.from_url(url, decode_responses=True) as client:
        wanted = {"port": "0", "save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}
        assert client.config_get(*wanted) == wanted
    assert stat.S_IMODE((home / "redis").stat().st_mode) == 0o700
    assert not process_of(url).net_connections(kind="inet")


def test_it_is_started_without_our_secrets(home: Path, monkeypatch):
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", "hush")
    monkeypatch.setenv("NOT_OURS", "kept")

    with pytest.raises(Unreachable):
        EmbeddedRedis(home, lambda: program(home / "redis-server", "env; exit 1")).ensure()

    started_with = (home / "logs" / "redis.log").read_text()
    assert "NOT_OURS=kept" in started_with
    assert "hush" not in started_with


def test_it_outlives_the_process_that_started_it_and_is_reused(home: Path):
    starter = other_process(home)
    url = starter.communicate("go\n")[0].strip()
    assert starter.returncode == 0

    first = process_of(url)

    assert EmbeddedRedis(home).ensure() == url
    assert process_of(url) == first
    assert os.getsid(first.pid) != os.getsid(0)


def test_processes_that_race_for_it_end_with_one_server(home: Path):
    racers = [other_process(home) for _ in range(4)]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()

    urls = {racer.communicate()[0].strip() for racer in racers}

    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    assert urls == {EmbeddedRedis(home).url}
    assert servers_of(home) == [process_of(urls.pop())]


def test_one_that_was_killed_is_started_anew(home: Path):
    server = EmbeddedRedis(home)
    first = process_of(server.ensure())
    first.send_signal(signal.SIGKILL)
    psutil.wait_procs([first], timeout=10)

    assert not server.running()
    second = process_of(server.ensure())

    assert second.pid != first.pid


def test_one_whose_socket_was_swept_away_is_replaced_not_doubled(home: Path):
    server = EmbeddedRedis(home)
    first = process_of(server.ensure())
    (home / "redis" / "redis.sock").unlink()

    second = process_of(server.ensure())

    assert second != first
    assert servers_of(home) == [second]


def test_one_that_is_busy_with_a_script_counts_as_running_and_can_be_stopped(home: Path):
    server = EmbeddedRedis(home)
    url = server.ensure()
    process = process_of(url)
    with redis.Redis.from_url(url) as client:
        client.config_set("busy-reply-threshold", 1)
        connection = client.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)

        assert server.running()
        assert EmbeddedRedis(home).ensure() == url
        assert lives(process)
        server.stop()
        connection.disconnect()

    assert not lives(process)


def test_one_that_answers_nobody_for_a_while_counts_as_running(home: Path):
    server = EmbeddedRedis(home)
    process = process_of(server.ensure())
    process.suspend()
    try:
        assert server.running()
    finally:
        process.resume()


@pytest.mark.parametrize("name", ["a home with spaces & signs; ü%20+#", "long-" + "x" * 100])
def test_any_name_of_a_home_will_do_and_one_too_long_gets_a_short_private_socket(
    home: Path, name: str
):
    far = home / name
    server = EmbeddedRedis(far)
    try:
        url = server.ensure()
        with redis.Redis.from_url(url) as client:
            path = Path(client.config_get("unixsocket")["unixsocket"])
        assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
        assert (path.parent == far / "redis") is name.startswith("a home")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert servers_of(far) == [process_of(url)]
    finally:
        server.stop()
    assert not path.exists()
    assert not (name.startswith("long") and path.parent.exists())


def test_processes_that_differ_about_the_temporary_folder_agree_about_the_socket(
    home: Path, monkeypatch
):
    far = home / ("x" * 100)
    server = EmbeddedRedis(far)
    try:
        url = server.ensure()
        monkeypatch.setattr(tempfile, "tempdir", str(home))
        assert EmbeddedRedis(far).ensure() == url
        assert len(servers_of(far)) == 1
    finally:
        server.stop()


def test_a_folder_that_others_may_enter_is_refused(home: Path):
    (home / "redis").mkdir()
    (home / "redis").chmod(0o755)

    with pytest.raises(RequestError) as caught:
        EmbeddedRedis(home).ensure()

    assert "chmod 700" in str(caught.value)


def test_a_link_in_place_of_the_folder_is_refused(home: Path):
    (home / "other").mkdir(mode=0o700)
    (home / "redis").symlink_to(home / "other")

    with pytest.raises(RequestError):
        EmbeddedRedis(home).ensure()


def test_a_server_that_does_not_come_up_is_an_error_that_names_the_log(home: Path):
    failing = program(home / "redis-server", "echo 'no luck today'; exit 1")

    with pytest.raises(Unreachable) as caught:
        EmbeddedRedis(home, lambda: failing).ensure()

    log = home / "logs" / "redis.log"
    assert str(log) in str(caught.value)
    assert "no luck today" in log.read_text()
