"""Disks that are full or read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(at)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("no right to mount a small disk here")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def make_read_only(disk: Path) -> None:
    """Nothing can be written there from now on."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
