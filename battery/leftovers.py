"""Leftovers: what should be gone when everything has come to rest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from battery.house import House
from benchmarks.violation import Violation
from deployengine.locks.keys import Keys
from deployengine.services import LOCKS_PREFIX

_FLOCK = re.compile(r"FLOCK\s+\S+\s+\S+\s+(\d+)\s+(\w+):(\w+):(\d+)")


def in_redis(house: House) -> Iterator[Violation]:
    """Holds, waiters and marks, counted while Redis still runs."""
    keys = Keys(LOCKS_PREFIX)
    with house.redis.client() as client:
        for name in ("requests", "holders", "waiters", "exclusive_waiters", "full", "pending"):
            key = getattr(keys, name)
            kind = client.type(key)
            left = client.hkeys(key) if kind == b"hash" else client.zrange(key, 0, 9)
            if left:
                yield Violation("leftover", f"{len(left)} in Redis' {name}: {left[:5]}")


def on_machines(house: House) -> Iterator[Violation]:
    """Ticket folders, whole or half removed, and locks that somebody still holds."""
    folders = sorted(house.home.glob("tickets/*/run-*"))
    if folders:
        names = ", ".join(str(f.relative_to(house.home)) for f in folders[:5])
        yield Violation("leftover", f"{len(folders)} ticket folders: {names}")
    for pid, path in _held_locks(house.home):
        yield Violation("leftover", f"process {pid} holds {path.relative_to(house.home)}")
    scratch = sorted((house.root / "tmp").iterdir())
    if scratch:
        yield Violation("leftover", f"temporary: {', '.join(path.name for path in scratch[:5])}")


def alive(house: House) -> Iterator[Violation]:
    """Processes that name the home, once all were told to end."""
    for pid, words in house.living().items():
        yield Violation("leftover", f"process {pid}: {words[:200]}")


def _held_locks(home: Path) -> Iterator[tuple[int, Path]]:
    held = {}
    for line in Path("/proc/locks").read_text("ascii").splitlines():
        if match := _FLOCK.search(line):
            device = os.makedev(int(match[2], 16), int(match[3], 16))
            held[device, int(match[4])] = int(match[1])
    for path in home.rglob("*"):
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        if (facts.st_dev, facts.st_ino) in held:
            yield held[facts.st_dev, facts.st_ino], path
