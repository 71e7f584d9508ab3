"""Database away: PostgreSQL cannot be reached for a minute while a batch is under way.

Scripts that run go on and end. Measured is from its return until the first of their ends is on
record, until all are, and until a new script begins.
"""

from __future__ import annotations

import sys
import time

from battery.database import postgres
from battery.measures.figure import Figure, Measured
from battery.measures.installation import Installation, installed, scratch
from battery.postgres_proxy import PostgresProxy
from battery.redis_server import RedisServer
from benchmarks.scenario import MACHINES, Scenario
from deployengine.settings import Settings
from tests.support.postgres import private_postgres

#: Seconds until it goes on, at most.
GOAL = 10.0
RELEASES = 16
TASK_CAP = 8
SHORTEST, LONGEST = 0.5, 3.0
#: So many scripts have begun when the database goes away: it is in the midst of the batch.
BEGUN = 3 * len(MACHINES)

RECORDED = "select count(*) from step_run where finished_at is not null"


def measure(seconds: float, seed: int) -> Measured:
    """Takes the database away for so long."""
    drawn = Scenario.drawn(RELEASES, SHORTEST, LONGEST, 0.0, seed)
    with private_postgres() as server, scratch() as root:
        redis = RedisServer(root / "redis")
        redis.start()
        drawn.furnish(root / "home")
        try:
            with postgres(root / "home", root, server) as database:
                assert database.proxy is not None
                settings = Settings(
                    root / "home",
                    database_url=database.url,
                    redis_url=redis.url,
                    task_cap=TASK_CAP,
                    log_level="WARNING",
                )
                with installed(settings, drawn.catalog(), 2, database.direct) as there:
                    return _measured(there, drawn, database.proxy, seconds)
        finally:
            redis.stop()


def _measured(
    there: Installation, drawn: Scenario, proxy: PostgresProxy, seconds: float
) -> Measured:
    there.release(drawn.projects)
    there.until(lambda: _lines(there, "begin") >= BEGUN, "the midst of the batch")
    proxy.away()
    running = _lines(there, "begin") - _lines(there, "end")
    print(f"away with {running} scripts running", file=sys.stderr)
    time.sleep(seconds)
    there.check()
    begun, ended, recorded = _lines(there, "begin"), _lines(there, "end"), _recorded(there)
    harms = [] if begun == ended else [f"{begun - ended} scripts had not ended meanwhile"]
    back = time.monotonic()
    proxy.back()
    first = there.until(lambda: _recorded(there) > recorded, "an end on record") - back
    every = there.until(lambda: _recorded(there) >= ended, "all ends on record") - back
    new = there.until(lambda: _lines(there, "begin") > begun, "a new script") - back
    there.until(there.all_ended, "the end of the batch", patience=300, every=0.2)
    there.stop()
    away = f"database away {seconds:g} s"
    figures = [
        Figure(f"{away}: until the first end is on record", GOAL, first),
        Figure(f"{away}: until every end of meanwhile is on record", GOAL, every),
        Figure(f"{away}: until a new script begins", GOAL, new),
    ]
    details = {
        "away_s": seconds,
        "scripts": len(drawn.seconds),
        "running_when_it_went": running,
        "ended_and_not_on_record_at_its_return": ended - recorded,
        "batch_went_on_s": round(time.monotonic() - back, 1),
    }
    return Measured("database away", figures, harms + there.harms(), details)


def _lines(there: Installation, kind: str) -> int:
    """So many scripts have written this word into their machine's journal."""
    return sum(
        line.startswith(f"{kind} ")
        for journal in there.home.glob("machines/*/journal")
        for line in journal.read_text("utf-8").splitlines()
    )


def _recorded(there: Installation) -> int:
    return int(there.rows(RECORDED)[0][0])
