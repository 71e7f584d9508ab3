"""``python -m battery``."""

from __future__ import annotations

import argparse
import json
import sys

from battery.round import Plan, play
from battery.schedule import drawn
from tests.support.postgres import private_postgres


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m battery")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--faults", type=int, default=0)
    parser.add_argument("--spacing", type=float, default=0.6)
    parser.add_argument("--failpoints", action="store_true")
    parser.add_argument("--at-least", type=float, default=5)
    parser.add_argument("--at-most", type=float, default=90)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--database", default="sqlite")
    a = parser.parse_args()
    schedule = drawn(a.seed, a.faults, a.spacing, 1.5) if a.faults else []
    plan = Plan(a.seed, schedule, a.failpoints, a.at_least, a.at_most, keep=a.keep)
    if a.database == "sqlite":
        out = play(plan, None)
    else:
        with private_postgres() as server:
            out = play(plan, server)
    print(json.dumps(out.document(), indent=1, ensure_ascii=False))
    return 1 if out.violations else 0


if __name__ == "__main__":
    sys.exit(main())
