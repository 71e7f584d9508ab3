"""Processes and their groups, as /proc shows them."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from deployengine.steps.ticket import Leader
from deployengine.steps.wake import Wake

#: How often to look where the kernel can't tell us: seconds.
LOOK_EVERY = 0.05

#: Looks for processes, and says which are alive now.
Find = Callable[[], tuple[int, ...]]

_PROC = Path("/proc")
_DEAD = "ZXx"


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    state: str
    group: int
    session: int
    #: In clock ticks since boot.
    started: int

    @property
    def alive(self) -> bool:
        """Whether it can still do something; a zombie can't."""
        return self.state not in _DEAD


@cache
def this_boot() -> str:
    """What tells this boot of the machine from any other."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def look(pid: int) -> Process | None:
    """The process of this number now."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - half the cost of a Path
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def leads(leader: Leader) -> bool:
    """Whether the leader itself is alive."""
    process = look(leader.pid) if leader.boot == this_boot() else None
    return process is not None and process.started == leader.started and process.alive


def seconds_since(leader: Leader) -> float:
    """How long ago the leader began, by the clock of this machine; it is of this boot."""
    ticks = os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - leader.started / ticks)


def group(leader: Leader) -> tuple[int, ...]:
    """The living processes of the leader's group, whether it is alive itself or not.

    A group keeps its number from being given away, so members without a leader are still ours
    unless all had gone and another session of that number came, and lost its leader, too.
    """
    if leader.boot != this_boot():
        return ()
    now = look(leader.pid)
    if now is not None and now.started != leader.started:
        return ()
    everyone = (look(int(entry)) for entry in os.listdir(_PROC) if entry.isdigit())  # noqa: PTH208
    return tuple(
        process.pid
        for process in everyone
        if process and process.alive and process.group == process.session == leader.pid
    )


def itself(leader: Leader) -> tuple[int, ...]:
    """The leader alone, while it is alive."""
    return (leader.pid,) if leads(leader) else ()


def nobody() -> tuple[int, ...]:
    """No process: there is nothing to wait for."""
    return ()


def until_one_ends(find: Find, seconds: float, wake: Wake | None, pidfds: bool) -> None:
    """Blocks until one of the processes found ends, the bell rings, or the time is up.

    Without ``pidfds`` (a kernel before 5.3, a sandbox) it returns after 50 ms at the latest; so the
    caller looks for himself and calls again.
    """
    poll = select.poll()
    if wake is not None:
        poll.register(wake, select.POLLIN)
    opened: list[int] = []
    try:
        if pidfds:
            pids = find()
            opened.extend(_open(pids))
            # The second look makes sure that each descriptor is of the process that was meant.
            if not opened or find() != pids:
                return
            for descriptor in opened:
                poll.register(descriptor, select.POLLIN)
        longest = seconds if pidfds else min(seconds, LOOK_EVERY)
        poll.poll(min(int(longest * 1000) + 1, 86_400_000))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def until_readable(bells: Iterable[Wake | None], seconds: float) -> None:
    """Blocks until one of the bells is set, or the time is up."""
    poll = select.poll()
    for bell in bells:
        if bell is not None:
            poll.register(bell, select.POLLIN)
    poll.poll(min(int(seconds * 1000) + 1, 86_400_000))


def _open(pids: Iterable[int]) -> Iterable[int]:
    for pid in pids:
        with suppress(ProcessLookupError):
            yield os.pidfd_open(pid)


def can_open_pidfds() -> bool:
    """Whether this kernel tells of a process's end through a descriptor."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def until_none(leader: Leader, seconds: float, pidfds: bool) -> bool:
    """Blocks until the whole group is gone; says whether it is."""
    end = time.monotonic() + seconds
    while group(leader):
        left = end - time.monotonic()
        if left <= 0:
            return False
        until_one_ends(partial(group, leader), left, None, pidfds)
    return True
