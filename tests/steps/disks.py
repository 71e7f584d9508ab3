"""Disks that are full or read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, kib: int = 64) -> Iterator[Path]:
    """A disk of that size; it belongs to whom the folder belongs that is there, if there is one."""
    at.mkdir(parents=True, exist_ok=True)
    owner = at.stat()
    options = f"size={kib}k,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(at)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("no right to mount a small disk here")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def make_read_only(disk: Path) -> None:
    """Nothing can be written there from now on."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
