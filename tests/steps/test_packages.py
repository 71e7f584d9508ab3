"""Packages on machines, for every way to a machine."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployengine.steps.contract import Runner, Work
from deployengine.steps.errors import DamagedOnTheWay, DiskFull
from deployengine.steps.local import LocalRunner
from tests.steps.conftest import IMPLEMENTATIONS, MAIN, begin, end, tickets_of, until_dead
from tests.steps.disks import small_disk

CONTENT = b"the tar of a package\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=MAIN)
def runner(request: pytest.FixtureRequest, workdir: Path) -> Runner:
    return IMPLEMENTATIONS[request.param](workdir)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(CONTENT))
    return path


def kept(workdir: Path) -> Path:
    return Path(tickets_of(workdir), ".packages")


def test_a_package_is_there_once_it_was_brought(
    runner: Runner, archive: Path, workdir: Path
) -> None:
    assert not runner.has(DIGEST)
    runner.deliver(archive, DIGEST)
    assert runner.has(DIGEST)
    assert not runner.has("0" * 64)
    assert (kept(workdir) / DIGEST).read_bytes() == archive.read_bytes()
    assert [path.name for path in kept(workdir).iterdir()] == [DIGEST]


def test_to_bring_it_again_changes_nothing(runner: Runner, archive: Path, workdir: Path) -> None:
    runner.deliver(archive, DIGEST)
    before = (kept(workdir) / DIGEST).stat().st_ino
    runner.deliver(archive, DIGEST)
    assert (kept(workdir) / DIGEST).stat().st_ino == before


def test_it_is_known_by_what_is_packed_and_not_by_how(
    runner: Runner, archive: Path, workdir: Path
) -> None:
    archive.write_bytes(
        subprocess.run(["gzip", "-1"], input=CONTENT, capture_output=True, check=True).stdout
    )
    runner.deliver(archive, DIGEST)
    assert runner.has(DIGEST)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"other"), gzip.compress(CONTENT)[:-20], b"", b"no gzip at all"],
    ids=["another", "cut short", "empty", "no gzip"],
)
def test_what_comes_damaged_is_refused_and_leaves_nothing(
    content: bytes, runner: Runner, archive: Path, workdir: Path
) -> None:
    archive.write_bytes(content)
    with pytest.raises(DamagedOnTheWay) as refused:
        runner.deliver(archive, DIGEST)
    assert "\n" not in str(refused.value)
    assert not runner.has(DIGEST)
    assert list(kept(workdir).iterdir()) == []


@pytest.mark.parametrize("waited_for", [True, False], ids=["gone", "a zombie"])
def test_what_somebody_left_who_died_half_way_is_no_obstacle(
    runner: Runner, archive: Path, workdir: Path, *, waited_for: bool
) -> None:
    kept(workdir).mkdir(parents=True, exist_ok=True)
    kept(workdir).chmod(0o777)
    ended = subprocess.Popen(["true"])
    if waited_for:
        ended.wait()
    until_dead(ended.pid)
    old = kept(workdir) / f".{'1' * 64}.{os.getpid()}"
    for half in (kept(workdir) / f".{DIGEST}.{ended.pid}", old):
        half.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    assert not runner.has(DIGEST)
    runner.deliver(archive, DIGEST)
    assert [path.name for path in kept(workdir).iterdir()] == [DIGEST]


def test_what_somebody_is_at_is_left_to_him(runner: Runner, archive: Path, workdir: Path) -> None:
    kept(workdir).mkdir(parents=True, exist_ok=True)
    kept(workdir).chmod(0o777)
    half = kept(workdir) / f".{DIGEST}.{os.getpid()}"
    half.write_bytes(b"half")
    runner.deliver(archive, DIGEST)
    assert half.exists()


def test_several_may_bring_it_at_once(runner: Runner, archive: Path, workdir: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: runner.deliver(archive, DIGEST), range(4)))
    assert [path.name for path in kept(workdir).iterdir()] == [DIGEST]
    assert (kept(workdir) / DIGEST).read_bytes() == archive.read_bytes()


def test_who_asks_for_it_uses_it(runner: Runner, archive: Path, workdir: Path) -> None:
    runner.deliver(archive, DIGEST)
    long_ago = time.time() - 1e6
    os.utime(kept(workdir) / DIGEST, (long_ago, long_ago))
    assert runner.has(DIGEST)
    assert (kept(workdir) / DIGEST).stat().st_mtime > time.time() - 1000


def test_a_script_finds_it_beside_its_ticket(
    runner: Runner, archive: Path, fresh: Callable[..., Work], workdir: Path
) -> None:
    runner.deliver(archive, DIGEST)
    script = f'gzip -dc "${{DEPLOYENGINE_TICKET_FOLDER%/*}}/.packages/{DIGEST}"'
    ticket = begin(runner, fresh(script))
    assert end(ticket).exit_code == 0
    assert ticket.output(0) == CONTENT


def test_it_is_no_ticket(runner: Runner, archive: Path) -> None:
    runner.deliver(archive, DIGEST)
    assert runner.tickets() == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(content))
    with small_disk(tmp_path / "disk") as disk:
        runner = LocalRunner(str(tmp_path), str(disk))
        with pytest.raises(DiskFull, match="make room on that disk"):
            runner.deliver(archive, hashlib.sha256(content).hexdigest())
        assert list((disk / ".packages").iterdir()) == []
