"""How soon a script's first line runs, beside what OpenSSH takes for nothing at all.

All on one machine over connections that are there already, one kind of start after the other, in
turn: so whatever else the host does meets all of them alike.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ssh.park import Machine, known_hosts
from benchmarks.system import Broken
from deployengine.steps.contract import Lock, State, Work
from deployengine.steps.ssh.login import log_in
from deployengine.steps.ssh.loop import the_loop
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import Way, way_to

#: The first command of a script tells when it ran. There is one clock, as there is one host.
CLOCK = "date +%s%N"
#: Milliseconds over OpenSSH's that ours may take.
ALLOWED = 20.0

WITHIN = timedelta(seconds=30)


def measure(machine: Machine, times: int, folder: Path) -> dict[str, Any]:
    """Milliseconds, median and 95th percentile, by kind of start."""
    way = way_to(machine.name, machine.connection, (), lambda _set, _variable: "")
    found: dict[str, list[float]] = {}
    with _control_master(machine, folder) as ssh:
        kinds: Mapping[str, Callable[[int], float]] = {
            "ours, to the first line": _Ours(way),
            "ssh host true, whole": lambda _: _whole(ssh),
            "ssh host date, to its line": lambda _: _first_line(ssh),
            "asyncssh exec true, whole": _Bare(way),
        }
        for number in range(times + 1):
            for kind, start in kinds.items():
                seconds = start(number)
                if number > 0:  # the first of each makes connections
                    found.setdefault(kind, []).append(1000 * seconds)
    ours, plain, _, bare = (median(sample) for sample in found.values())
    return {
        "times": times,
        "ms": {kind: _summary(sample) for kind, sample in found.items()},
        "over_plain_ms": round(ours - plain, 2),
        "over_bare_ms": round(ours - bare, 2),
        "allowed_ms": ALLOWED,
        "reached": ours - plain <= ALLOWED,
    }


class _Ours:
    """A run of the engine's, with its lock of the machine, from start to the first line."""

    def __init__(self, way: Way) -> None:
        self._runner = SshRunner(SshMachine(way.machine, lambda: way))
        self._locks = (Lock(f"machine:{way.machine}", exclusive=True),)

    def __call__(self, number: int) -> float:
        ticket = self._runner.ticket(
            Work(f"run-{number + 1}", number + 1, f"{CLOCK}\n", locks=self._locks)
        )
        begun = time.time_ns()
        ticket.start()
        if ticket.wait(WITHIN).state is not State.EXITED:
            raise Broken("a script that only tells the time did not end")
        told = int(ticket.output(0))
        ticket.clean()
        return (told - begun) / 1e9


class _Bare:
    """The shortest command over a connection as ours are."""

    def __init__(self, way: Way) -> None:
        self._connection = the_loop().run(log_in(way))

    def __call__(self, _number: int) -> float:
        begun = time.perf_counter()
        the_loop().run(self._connection.run("exec true", check=True))
        return time.perf_counter() - begun


@contextmanager
def _control_master(machine: Machine, folder: Path) -> Iterator[Sequence[str]]:
    """The command line of an ssh whose master is connected."""
    known = known_hosts([machine], folder)
    ssh = [
        *("ssh", "-F", "none", "-p", str(machine.port), "-i", str(machine.identity)),
        *("-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"),
        *("-o", f"ControlPath={folder / 'master'}", f"{machine.user}@127.0.0.1"),
    ]
    subprocess.run([*ssh[:-1], "-M", "-N", "-f", ssh[-1]], check=True)
    try:
        yield ssh
    finally:
        subprocess.run([*ssh, "-O", "exit"], check=True, capture_output=True)


def _whole(ssh: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([*ssh, "true"], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _first_line(ssh: Sequence[str]) -> float:
    begun = time.time_ns()
    said = subprocess.run(
        [*ssh, CLOCK], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    return (int(said.stdout) - begun) / 1e9


def _summary(sample: Sequence[float]) -> dict[str, float]:
    ordered = sorted(sample)
    return {
        "p50": round(median(ordered), 2),
        "p95": round(ordered[-(-len(ordered) * 95 // 100) - 1], 2),
    }
