"""One round: work under fire, then quiet, then the end, then judgement."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from battery import leftovers
from battery.armoury import Armoury, traced
from battery.case import Case, gathered
from battery.faults.fault import Stage
from battery.house import House, house
from battery.injector import Injector
from battery.judge import judge
from battery.ledger import Injected
from battery.needs import Needs
from battery.process import Process
from battery.schedule import ACTS, Planned
from battery.watcher import Watcher
from battery.work import Work
from benchmarks.violation import Violation
from tests.support.postgres import PostgresServer

#: Seconds in which everything must have come to rest when nothing is injected any more.
END_WITHIN = 90.0
#: Seconds in which everything must be swept up then: workers leave a ticket where it is for some.
SWEPT_WITHIN = 20.0
#: Seconds after which somebody is killed who has not come to the failpoints he is armed with.
RENEW_AFTER = 5.0
#: Seconds between two looks.
TICK = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done in a round."""

    seed: str
    schedule: Sequence[Planned] = ()
    #: Whether those who are started are armed with failpoints.
    failpoints: bool = True
    #: Fire lasts at least so long, and at most.
    at_least: float = 5.0
    at_most: float = 90.0
    lease: float = 1.5
    mutations: Sequence[str] = ()
    #: Failpoints that are off the list, since somebody was killed there before.
    killed_before: frozenset[str] = frozenset()
    #: Whether failpoints kill and do nothing else, so that many have their turn.
    kills_only: bool = False
    #: The passing at which each point kills.
    passing: Counter[str] = field(default_factory=Counter)
    #: By process or kind of process, what each who is started is armed with one of; none: as ever.
    arms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: How many leases those sleep who are stopped by these.
    sleep: float = 3.0
    #: Whether those are killed who do not come to what they are armed with.
    renew: bool = True
    #: Seconds in which everything must come to rest at the end.
    end_within: float = END_WITHIN
    #: Only releases of these projects; none: of all.
    projects: tuple[str, ...] = ()
    #: Whether the long scripts are long on the first machine, too.
    long_everywhere: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to."""

    seed: str
    database: str
    seconds: float
    seconds_to_rest: float
    releases: int
    faults: dict[str, int]
    #: What people and a supervisor lawfully did meanwhile; no faults.
    acts: dict[str, int]
    impossible: dict[str, str]
    traced: Counter[str]
    killed_at: Counter[str]
    violations: tuple[Violation, ...]

    @property
    def injected(self) -> int:
        """How many faults."""
        return sum(self.faults.values())

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "seed": self.seed,
            "database": self.database,
            "seconds": round(self.seconds, 1),
            "seconds_to_rest": round(self.seconds_to_rest, 1),
            "releases": self.releases,
            "injected": self.injected,
            "faults": self.faults,
            "acts": self.acts,
            "not_injected": self.impossible,
            "killed_at": dict(sorted(self.killed_at.items())),
            "traced": dict(sorted(self.traced.items())),
            "violations": [f"{v.rule}: {v.message} [{v.machine or ''}]" for v in self.violations],
        }


def play(plan: Plan, server: PostgresServer | None) -> Outcome:
    """Plays a round in a house of its own."""
    with house(
        server, plan.seed, plan.lease, plan.mutations, plan.keep, plan.long_everywhere
    ) as built:
        return Round(plan, built).play()


class Round:
    """A round in a house."""

    def __init__(self, plan: Plan, built: House) -> None:
        self._plan = plan
        self._house = built
        self._work = Work(built, random.Random(f"{plan.seed} work"), plan.projects)
        stage = Stage(built, self._work)
        self._injector = Injector(stage, plan.schedule)
        self._needs = Needs(stage, self._injector, random.Random(f"{plan.seed} needs"))
        self._armoury = Armoury(
            random.Random(f"{plan.seed} arms"), built.traces, start_at=plan.passing
        )
        self._armoury.killed(plan.killed_before)
        self._armoury.kills_only = plan.kills_only
        self._armoury.only(plan.arms, plan.sleep)
        self._wakes: list[tuple[float, Process, Injected]] = []
        self._sleepers: dict[int, float] = {}
        self._next_look = 0.0
        self._begun = time.monotonic()
        self._beat = 0.0
        self._watcher = Watcher(built.redis.url)
        built.on_stop = self._stopped

    def play(self) -> Outcome:
        """Fire, then the end."""
        if self._plan.failpoints:
            self._house.arm = self._armoury.arms
        self._watcher.start()
        while self._under_fire():
            self._work.more()
            self._injector.tend()
            self._renew()
            if self._plan.failpoints:
                self._needs.tend(self._armoury.left)
            self._tick("fire")
        return self._end()

    def _renew(self) -> None:
        """Kills those who were armed with what they do not pass, so that they are armed anew."""
        if not (
            self._plan.renew and self._plan.failpoints and (self._armoury.left or self._plan.arms)
        ):
            return
        for process in self._house.processes.values():
            idle = process.alive and process.armed and not process.stopped and not process.expected
            if process.awake > RENEW_AFTER and idle:
                whom = "a worker" if process.name.startswith("worker") else "housekeeping"
                kind = f"kill -9 of {whom}"
                self._house.ledger.note(kind, process.name)
                process.send(signal.SIGKILL, kind)

    def _under_fire(self) -> bool:
        for_so_long = time.monotonic() - self._begun
        if for_so_long < self._plan.at_least:
            return True
        if for_so_long > self._plan.at_most:
            return False
        self._armoury.killed(self._house.ledger.killed_at)
        armed = self._plan.failpoints and bool(self._armoury.left)
        return not self._injector.done or armed

    def _end(self) -> Outcome:
        self._watcher.stop()
        self._armoury.open = False
        self._injector.end()
        for process in self._house.processes.values():
            # Whoever is still armed goes now: nothing may be injected any more.
            if process.armed and process.alive and self._plan.renew:
                process.kill_quietly()
        self._wake(float("inf"))
        self._work.end_schedules()
        quiet = time.monotonic()
        violations: list[Violation] = []
        while not self._work.all_done():
            self._tick("end")
            if time.monotonic() - quiet > self._plan.end_within:
                message = f"not everything came to rest within {self._plan.end_within:g} s"
                violations.append(Violation("stuck", message))
                break
        to_rest = time.monotonic() - quiet
        violations += self._at_rest()
        self._house.close()
        self._house.write_ledger()
        violations += [*leftovers.on_machines(self._house), *leftovers.alive(self._house)]
        violations += judge(self._case())
        done = self._house.ledger.by_kind()
        return Outcome(
            seed=self._plan.seed,
            database=self._house.database.kind,
            seconds=time.monotonic() - self._begun,
            seconds_to_rest=to_rest,
            releases=len(self._work.given),
            faults={kind: n for kind, n in done.items() if kind not in ACTS},
            acts={kind: n for kind, n in done.items() if kind in ACTS},
            impossible=self._house.ledger.impossible,
            traced=traced(self._house.traces),
            killed_at=self._house.ledger.killed_at,
            violations=tuple(violations),
        )

    def _at_rest(self) -> list[Violation]:
        """What is left in Redis; housekeeping gets a few rounds to sweep up, on machines, too."""
        deadline = time.monotonic() + SWEPT_WITHIN
        while time.monotonic() < deadline:
            if not any(leftovers.in_redis(self._house)) and not self._tickets():
                break
            self._tick("rest")
        return list(leftovers.in_redis(self._house))

    def _tickets(self) -> bool:
        """Whether a ticket lies on a machine; a worker that just died may have left it."""
        return any(self._house.home.glob("tickets/*/run-*"))

    def _case(self) -> Case:
        work = self._work
        return gathered(
            self._house.home,
            self._house.database,
            self._house.ledger,
            frozenset(work.given),
            frozenset(work.cancels),
            frozenset(work.cancelled_releases()),
        )

    def _tick(self, phase: str) -> None:
        self._house.tend()
        self._work.answer()
        self._wake(time.monotonic())
        self._tell(phase)
        time.sleep(TICK)

    def _stopped(self, process: Process, noted: Injected) -> None:
        if process.stopped:  # else it was a wrapper, which is found by its state
            pause = (
                self._armoury.leases.get(noted.detail, self._armoury.otherwise) * self._plan.lease
            )
            self._wakes.append((time.monotonic() + pause, process, noted))

    def _wake(self, now: float) -> None:
        for wake in list(self._wakes):
            until, process, noted = wake
            if now >= until:
                process.send(signal.SIGCONT)
                noted.lifted = time.time()
                self._wakes.remove(wake)
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + 0.5
            self._wake_wrappers(now)

    def _wake_wrappers(self, now: float) -> None:
        stopped = self._house.stopped_wrappers()
        self._sleepers = {pid: self._sleepers.get(pid, time.monotonic()) for pid in stopped}
        for pid, since in self._sleepers.items():
            if now - since > 1.2 * self._plan.lease:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _tell(self, phase: str) -> None:
        if not sys.stderr.isatty() or time.monotonic() - self._beat < 0.5:
            return
        self._beat = time.monotonic()
        ledger, work = self._house.ledger, self._work
        line = f"{self._plan.seed} {self._house.database.kind} {phase}"
        line += f" {time.monotonic() - self._begun:5.0f} s  faults {len(ledger.faults)}"
        line += f"  failpoints left {len(self._armoury.left)}  releases {len(work.given)}"
        sys.stderr.write(f"\r\x1b[2K{line}")
        sys.stderr.flush()
