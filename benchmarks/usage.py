"""What processes and Redis have used between two moments."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from redis import Redis

DRIVER = "driver"
_LAST = "benchmark-has-ended"


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """User and system time by name, with that of children that have been waited for.

    Of this process, the driver, without its children: they stand here under their own names.
    """
    used = {}
    for name, pid in pids.items():
        t = psutil.Process(pid).cpu_times()
        used[name] = t.user + t.system + t.children_user + t.children_system
    own = os.times()
    return used | {DRIVER: own.user + own.system}


def memory_bytes(pids: Mapping[str, int]) -> dict[str, int]:
    """Resident memory by name."""
    return {name: psutil.Process(pid).memory_info().rss for name, pid in pids.items()}


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was added, by name."""
    return {name: after[name] - before.get(name, 0) for name in after}


def by_kind(used: Mapping[str, float]) -> dict[str, float]:
    """All workers taken together."""
    kinds: dict[str, float] = {}
    for name, amount in used.items():
        kind = "workers" if name.startswith("worker-") else name
        kinds[kind] = kinds.get(kind, 0) + amount
    return kinds


def commands(redis: Redis) -> int:
    """Commands that Redis has carried out since its start, those inside scripts among them."""
    statistics: Mapping[str, Mapping[str, Any]] = redis.info("commandstats")
    return sum(int(command["calls"]) for command in statistics.values())


@dataclass(slots=True)
class Monitored:
    """Commands seen one by one: how many came from clients and how many from inside scripts."""

    seen: Counter[bool] = field(default_factory=Counter)

    @property
    def share_inside_scripts(self) -> float:
        """0 to 1."""
        return self.seen[True] / (self.seen.total() or 1)


@contextmanager
def monitored(redis: Redis) -> Iterator[Monitored]:
    """Watches every command for as long as the block lasts; that slows Redis down."""
    result = Monitored()
    with redis.monitor() as monitor:  # type: ignore[no-untyped-call]

        def count() -> None:
            for command in monitor.listen():
                if _LAST in command["command"]:
                    return
                result.seen[command["client_type"] == "lua"] += 1

        watcher = threading.Thread(target=count)
        watcher.start()
        try:
            yield result
        finally:
            redis.echo(_LAST)
            watcher.join()
