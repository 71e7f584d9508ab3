"""Redis lost: from its end until the locks stand again and the next script has begun.

Ten thousand runs wait for thirty machines, on each of which one script waits at a gate. Redis is
killed and started empty, or emptied by FLUSHALL, or it is the engine's own and killed with nobody
to start it but the engine. In turn a script ends at once, so that a worker needs the locks; or all
thirty do; or none does until housekeeping has found out. It works again when the locks have their
new generation and each script that ended has let the next one begin. All others must still wait,
in their order.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from battery.measures.figure import Figure, Measured
from battery.measures.installation import OPEN, Installation, installed, scratch
from battery.measures.line import KEYS, Line, moved, resource
from battery.measures.spread import Spread
from battery.redis_server import RedisServer
from benchmarks import scenario
from benchmarks.gates import Gates
from benchmarks.system import Broken
from deployengine.settings import Settings

MACHINES = scenario.STAGES["Production"]
#: Seconds until it works again, at most.
GOAL = 5.0
#: Seconds after which nobody waits any more.
PATIENCE = 60.0

GENERATIONS = "select value from counter where name = 'generation'"

ENDED = "select 'dep-' || id from deployment where finished_at is not null"

#: What happens at once after the loss, in turn.
SITUATIONS = ("one script ends at once", "all scripts end at once", "nobody asks")

IN_ORDER = """
select 'run-' || id from step_run where state = 'waiting' order by machine, ticket
"""


@dataclass(frozen=True, slots=True)
class Again:
    """Seconds from the loss: until the locks stood, until the next scripts had begun."""

    situation: str
    locks: float
    begun: float
    #: How many times the locks were begun to be loaded.
    loadings: int

    @property
    def working(self) -> float:
        """Until both were so."""
        return max(self.locks, self.begun)


@dataclass(slots=True)
class _Trial:
    """One installation with its long line, and what was seen there."""

    there: Installation
    gates: Gates
    client: Redis
    dice: random.Random
    harms: list[str] = field(default_factory=list)
    turns: int = 0
    handed_on: int = 0


def measure(parked: int, times: int, seed: str) -> Measured:
    """Loses Redis so many times in each of the three ways."""
    figures, details, harms = [], {}, []
    for embedded in (False, True):
        with _parked(parked, seed, embedded=embedded) as (trial, ways):
            for name, lose in ways.items():
                seen = [_lose(trial, lose, SITUATIONS[n % len(SITUATIONS)]) for n in range(times)]
                told = f"Redis {name}, {parked:,} parked: working again, slowest of {times}"
                figures.append(Figure(told, GOAL, max(again.working for again in seen)))
                details[name] = _told(seen)
                print(f"{name}: {details[name]}", file=sys.stderr)
            harms += trial.harms
    return Measured("Redis lost", figures, harms, {"parked": parked, "seen": details})


def _told(seen: list[Again]) -> dict[str, object]:
    return {
        situation: {
            "locks_s": Spread.of(again.locks for again in part).document(),
            "next_scripts_s": Spread.of(again.begun for again in part).document(),
            "loadings_at_most": max(again.loadings for again in part),
        }
        for situation in SITUATIONS
        if (part := [again for again in seen if again.situation == situation])
    }


Ways = dict[str, Callable[[], None]]


@contextmanager
def _parked(wanted: int, seed: str, *, embedded: bool) -> Iterator[tuple[_Trial, Ways]]:
    """An engine with so many runs that wait, and the ways in which its Redis can be lost."""
    projects = tuple(f"app-{n:04}" for n in range(-(-wanted // len(MACHINES)) + 1))
    with scratch() as root:
        gates = Gates(MACHINES)
        gates.furnish(root / "home")
        server = None if embedded else RedisServer(root / "redis")
        if server:
            server.start()
        settings = Settings(
            root / "home",
            redis_url=server.url if server else None,
            task_cap=len(MACHINES) + 2,
            log_level="WARNING",
        )
        try:
            with (
                installed(settings, gates.catalog(projects), workers=2) as there,
                _client(there.services.redis_url) as client,
            ):
                trial = _Trial(there, gates, client, random.Random(seed))
                _park(trial, projects)
                yield trial, _ways(there, server, client)
        finally:
            if server:
                server.stop()


def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def _park(trial: _Trial, projects: tuple[str, ...]) -> None:
    trial.there.release(projects)
    runs = len(projects) * len(MACHINES)
    states = {"running": len(MACHINES), "waiting": runs - len(MACHINES)}

    def all_wait() -> bool:
        found = trial.there.states()
        print(f"parking: {found}", file=sys.stderr)
        known = trial.client.hlen(KEYS.requests)
        return found == states and known == runs + len(projects) and _at_rest(trial)

    trial.there.until(all_wait, "the line", patience=60 + 0.05 * runs, every=1)


def _ways(there: Installation, server: RedisServer | None, client: Redis) -> Ways:
    if server is None:
        return {"of the engine's own killed with -9": partial(_kill_embedded, there)}

    def kill() -> None:
        server.kill()
        server.start()

    def wipe() -> None:
        client.flushall()

    return {"killed with -9 and started empty": kill, "emptied by FLUSHALL": wipe}


def _kill_embedded(there: Installation) -> None:
    pid = int((there.settings.redis_dir / "redis.pid").read_text("ascii"))
    os.kill(pid, signal.SIGKILL)


def _at_rest(trial: _Trial) -> bool:
    """Whether one script waits at each gate, by the database, by Redis and by the journals."""
    waiting = trial.there.rows("select count(*) from step_run where state = 'waiting'")[0][0]
    running = trial.there.rows("select count(*) from step_run where state = 'running'")[0][0]
    deployments = trial.there.rows(OPEN)[0][0]
    return (
        int(running) == len(MACHINES)
        and trial.client.zcard(KEYS.waiters) == int(waiting)
        and trial.client.zcard(KEYS.holders) == len(MACHINES) + int(deployments)
        and trial.client.zcard(KEYS.pending) == 0
        and trial.gates.all_begun() == len(MACHINES) + trial.handed_on
    )


def _lose(trial: _Trial, lose: Callable[[], None], situation: str) -> Again:
    """Loses Redis at any moment between two rounds of housekeeping; looks at the line after."""
    every = situation == "all scripts end at once"
    machines = MACHINES if every else (MACHINES[trial.turns % len(MACHINES)],)
    time.sleep(trial.dice.uniform(0, trial.there.settings.housekeeping_interval))
    trial.there.until(partial(_at_rest, trial), "rest")
    before = Line.read(trial.client)
    again = _time(trial, lose, machines, situation)
    trial.turns += 1
    trial.handed_on += len(machines)
    print(again, file=sys.stderr)
    trial.there.until(partial(_at_rest, trial), "rest after the loss")
    after = Line.read(trial.client)
    handed_on = [_resource(before, machine) for machine in machines]
    ended = {str(row[0]) for row in trial.there.rows(ENDED)}
    trial.harms += moved(before, after, handed_on, ended)
    if after.waiting() != [str(row[0]) for row in trial.there.rows(IN_ORDER)]:
        trial.harms.append("Redis has another line than the database")
    strange = set(trial.there.states()) - {"running", "waiting", "succeeded"}
    if strange:
        trial.harms.append(f"runs that came to be {sorted(strange)}")
    return again


def _resource(line: Line, machine: str) -> str:
    return next(r for w in line.waiters if (r := resource(w)).endswith(machine))


def _time(
    trial: _Trial, lose: Callable[[], None], machines: Sequence[str], situation: str
) -> Again:
    """What it takes until the locks stand and a new script has begun on each of the machines."""
    generation, begun = _generation(trial.client), trial.gates.all_begun()
    drawn = _drawn(trial)
    closed = set(machines)
    locks = again = None
    lost = time.monotonic()
    lose()
    while locks is None or again is None:
        if locks is not None or situation != "nobody asks":
            closed -= {machine for machine in closed if trial.gates.open(machine)}
        now = time.monotonic() - lost
        if locks is None and _generation(trial.client) not in (None, generation):
            locks = now
        if again is None and trial.gates.all_begun() >= begun + len(machines):
            again = now
        if now > PATIENCE:
            raise Broken(f"not working again after {now:.0f} s: locks {locks}, begun {again}")
        trial.there.check()
        time.sleep(0.01)
    return Again(situation, locks, again, _drawn(trial) - drawn)


def _drawn(trial: _Trial) -> int:
    return int(trial.there.rows(GENERATIONS)[0][0])


def _generation(client: Redis) -> bytes | None:
    """The locks' generation; none while there is none, or nobody to ask."""
    with suppress(RedisError):
        found = client.get(KEYS.generation)
        return found if isinstance(found, bytes) else None
    return None
