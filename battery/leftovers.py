"""Leftovers: what should be gone when everything has come to rest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from battery.scenario import SECRET
from benchmarks.violation import Violation

if TYPE_CHECKING:  # the judge shares no code with the engine, which the house starts
    import redis

    from battery.house import House

#: The engine's keys for holds, waiters and marks, and those of them that stay for ever.
LOCKS = "{deployengine:locks}:"
LASTING = {f"{LOCKS}generation", f"{LOCKS}beats"}

_FLOCK = re.compile(r"FLOCK\s+\S+\s+\S+\s+(\d+)\s+(\w+):(\w+):(\d+)")


def in_redis(house: House) -> Iterator[Violation]:
    """What is left in the house's Redis, while it still runs."""
    with house.redis.client() as client:
        yield from left_in(client)


def left_in(client: redis.Redis) -> Iterator[Violation]:
    """Holds, waiters and marks, and the secret in any key."""
    for key in sorted(client.scan_iter()):
        name, held = key.decode("utf-8", "replace"), _held(client, key)
        if name.startswith(LOCKS) and name not in LASTING and held:
            yield Violation("leftover", f"in Redis' {name}: {str(held)[:200]}")
        if SECRET in f"{name} {held}":
            yield Violation("secret", f"in Redis' {name}")


def _held(client: redis.Redis, key: bytes) -> Any:
    """What a key holds, of whatever kind it is; nothing if it is gone."""
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
    return None


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
