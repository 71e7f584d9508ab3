"""``python -m benchmarks``: one JSON document on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from benchmarks import burst, parked
from benchmarks.scenario import Scenario
from benchmarks.system import Broken

#: Seconds for which parked runs are watched.
WATCH = 30.0


def main() -> int:
    """0: measured; 1: a rule was broken or the engine failed, and there are no figures."""
    arguments = _arguments()
    try:
        print(json.dumps(_measure(arguments), indent=2, ensure_ascii=False))
    except Broken as broken:
        message, *details = broken.args
        document = {"error": message, "verdict": details[0] if details else None}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 1
    return 0


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    database = "postgresql" if arguments.database_url else "sqlite"
    if arguments.parked:
        given = {"parked": arguments.parked, "task_cap": parked.CAP, "database": database}
        return {"given": given, **parked.measure(arguments.parked, WATCH, arguments.database_url)}
    given = {**vars(arguments), "database": database}
    del given["parked"], given["database_url"]
    shortest, longest = arguments.uniform or (arguments.seconds, arguments.seconds)
    drawn = Scenario.drawn(
        arguments.releases, shortest, longest, arguments.bypass_share, arguments.seed
    )
    runs = []
    for number in range(1, arguments.repeat + 1):
        print(f"run {number} of {arguments.repeat}", file=sys.stderr)
        cap, workers = arguments.task_cap, arguments.workers
        runs.append(burst.measure(drawn, cap, workers, arguments.database_url))
    return {"given": given, "runs": runs}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--releases", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of each script")
    parser.add_argument("--uniform", type=float, nargs=2, metavar=("SHORTEST", "LONGEST"))
    parser.add_argument("--seed", type=int, default=1, help="for --uniform")
    parser.add_argument("--task-cap", type=int, default=32, help="of each worker")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bypass-share", type=float, default=0.0, help="0 to 1, of the projects")
    parser.add_argument("--parked", type=int, help="park so many runs and watch them instead")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--database-url", help="a PostgreSQL server; each run makes a database")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
