"""Take-over: from the end of a worker until its scripts belong to another one.

Two workers, eight scripts that wait at gates, so four or so of them in each worker. The worker
with the most is killed, or told to end at once; each of its runs is one sample. A new worker takes
its place, the gates are opened, eight new scripts begin, and so on.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from battery.measures.figure import Figure, Measured
from battery.measures.installation import Installation, installed, scratch
from battery.measures.spread import Spread
from battery.redis_server import RedisServer
from benchmarks.gates import Gates
from benchmarks.system import Broken
from deployengine.engine.lease import beat_interval
from deployengine.settings import Settings

HOW = {"kill": signal.SIGKILL, "quit": signal.SIGQUIT}
#: Seconds that a take-over may take at most, nearly always (p99).
GOALS = {"kill": 15.0, "quit": 2.0}
#: What these are with another lease than the default.
GOAL_LEASE = 10.0

MACHINES = tuple(f"prod-{n}" for n in range(1, 9))
#: Seconds between two looks at the database.
LOOK_EVERY = 0.02

RUNNING = "select id, worker from step_run where state = 'running'"
OWNERS = "select id, worker, state from step_run"
BEAT = "select beat from worker where name = ?"

#: Multiples of it fall evenly into a period, however many there are.
GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True)
class Loss:
    """One worker's end: what each of its runs took, and the process itself, in seconds."""

    phase: float
    runs: Mapping[int, float]
    process: float


@dataclass(slots=True)
class _Samples:
    losses: list[Loss] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(loss.runs) for loss in self.losses)

    def seconds(self) -> Iterator[float]:
        for loss in self.losses:
            yield from loss.runs.values()


def measure(samples: int, lease: float, how: str) -> Measured:
    """Ends one worker after another until there are so many samples."""
    # The worker with the most has at least half of them.
    projects = tuple(f"app-{n:03}" for n in range(1, -(-samples // (len(MACHINES) // 2)) + 2))
    with scratch() as root:
        gates = Gates(MACHINES)
        gates.furnish(root / "home")
        redis = RedisServer(root / "redis")
        redis.start()
        settings = Settings(
            root / "home",
            redis_url=redis.url,
            task_cap=len(MACHINES),
            lease=lease,
            log_level="WARNING",
        )
        try:
            with installed(settings, gates.catalog(projects), workers=2) as there:
                there.release(projects)
                taken = _take(there, gates, samples, how)
                _end(there, gates)
                there.stop()
                return _measured(taken, how, lease, there.harms())
        finally:
            redis.stop()


def _take(there: Installation, gates: Gates, samples: int, how: str) -> _Samples:
    taken = _Samples()
    while len(taken) < samples:
        rounds = len(taken.losses)
        _all_at_gates(there, gates, (rounds + 1) * len(MACHINES))
        phase = rounds * GOLDEN % 1
        loss, newcomer = _lose(there, HOW[how], phase)
        taken.losses.append(loss)
        there.until(partial(there.signed_in, newcomer), "the new worker")
        there.until(there.answering, "an answer of every process")
        told = f"{how} {rounds + 1}: {len(taken)} samples, the last {max(loss.runs.values()):.2f} s"
        print(told, file=sys.stderr)
        gates.open_all()
    return taken


def _all_at_gates(there: Installation, gates: Gates, begun: int) -> None:
    """Until as many scripts have begun, and a worker has each that runs."""

    def all_there() -> bool:
        return gates.all_begun() == begun and len(there.rows(RUNNING)) == len(MACHINES)

    there.until(all_there, f"{begun} scripts at their gates")


def _lose(there: Installation, word: signal.Signals, phase: float) -> tuple[Loss, str]:
    """Ends the worker that runs the most, at that part of the time between two signs of life."""
    owned: dict[str, set[int]] = {}
    for number, worker in there.rows(RUNNING):
        owned.setdefault(str(worker), set()).add(int(number))
    victim = max(owned, key=lambda worker: len(owned[worker]))
    name = there.worker_of(victim)
    with closing(sqlite3.connect(there.settings.database_path, timeout=30)) as database:
        _await_beat(database, victim)
        time.sleep(phase * beat_interval(there.settings.lease))
        ended = time.monotonic()
        child = there.dismiss(name, word)
        newcomer = there.start_worker()
        left, runs, process = set(owned[victim]), {}, None
        while left or process is None:
            now = time.monotonic() - ended
            if process is None and child.poll() is not None:
                process = now
            for number, worker, state in database.execute(OWNERS).fetchall():
                if number in left and (worker != victim or state != "running"):
                    runs[number] = now
                    left.discard(number)
            if now > 60 + 5 * there.settings.lease:
                raise Broken(f"{sorted(left)} of {victim} were not taken over in {now:.0f} s")
            there.check()
            time.sleep(LOOK_EVERY)
    return Loss(phase, runs, process), newcomer


def _await_beat(database: sqlite3.Connection, worker: str) -> None:
    """Until the worker gives its next sign of life."""
    before = database.execute(BEAT, (worker,)).fetchone()
    while database.execute(BEAT, (worker,)).fetchone() == before:
        time.sleep(0.005)


def _end(there: Installation, gates: Gates) -> None:
    def ended() -> bool:
        gates.open_all()
        return there.all_ended()

    there.until(ended, "the end of all deployments", patience=300)


def _measured(taken: _Samples, how: str, lease: float, harms: list[str]) -> Measured:
    spread = Spread.of(taken.seconds())
    ends = Spread.of(loss.process for loss in taken.losses)
    goal = GOALS[how] * (lease / GOAL_LEASE if how == "kill" else 1)
    act = "kill -9" if how == "kill" else "SIGQUIT"
    figures = [Figure(f"take-over after {act}, lease {lease:g} s, p99", goal, spread.rank(99))]
    if how == "quit":
        figures.append(Figure("end of a worker after SIGQUIT, p99", goal, ends.rank(99)))
    details = {
        "how": how,
        "lease_s": lease,
        "workers_ended": len(taken.losses),
        "take_over_s": spread.document(),
        "process_end_s": ends.document(),
        "by_phase_of_the_beat": [
            {
                "phase": round(x.phase, 2),
                "runs": len(x.runs),
                "slowest": round(max(x.runs.values()), 2),
            }
            for x in sorted(taken.losses, key=lambda loss: loss.phase)
        ],
    }
    return Measured(f"take-over ({how})", figures, harms, details)
