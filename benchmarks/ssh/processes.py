"""CPU of whole families of processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import psutil


def family_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and all that descend from them, alive or waited for.

    The kernel counts in ticks of 10 ms a process, and adds the exact times of those waited for.
    """
    children: defaultdict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            children[process.ppid()].append(process)
    family = [psutil.Process(pid) for pid in pids]
    used = 0.0
    for process in family:  # it grows meanwhile
        family += children[process.pid]
        with suppress(psutil.NoSuchProcess):
            t = process.cpu_times()
            used += t.user + t.system + t.children_user + t.children_system
    return used
