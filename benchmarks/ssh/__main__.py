"""``python -m benchmarks.ssh``: a table on stdout, or one JSON document; progress on stderr."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.ssh import contest, cost, slots, start
from benchmarks.ssh.contest import Lap
from benchmarks.ssh.engine import engine
from benchmarks.ssh.host import host
from benchmarks.ssh.park import machines
from benchmarks.ssh.peer import environment
from benchmarks.ssh.scripts import LOCAL, LONGER, TENTH, TRIVIAL, UNEVEN
from benchmarks.ssh.table import table
from benchmarks.system import Broken

_ROOT = Path(__file__).parents[2]


def main() -> int:
    """0: measured; 1: a script was lost or doubled, or something failed: there are no figures."""
    arguments = _arguments()
    try:
        document = _measure(arguments)
    except Broken as broken:
        print(broken.args[0], file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2) if arguments.json else table(document))
    return 0


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    python = environment(arguments.peers_venv)
    begun = time.monotonic()
    number, few = (10, 4) if arguments.quick else (50, 10)
    laps = [
        Lap(TRIVIAL, number, slow_module=0 if arguments.quick else 3),
        Lap(TENTH, number),
        Lap(UNEVEN, few),
        Lap(LONGER, few),
    ]
    with machines() as park, TemporaryDirectory(prefix="bench-") as folder:
        at_start = start.measure(park[0], 50 if arguments.quick else 100, Path(folder))
        with engine(park, number) as ours:
            in_slots = slots.measure(ours, 5 if arguments.quick else 15)
            local = [ours.release(LOCAL, number)]
            contested, by_ssh = contest.measure(ours, python, laps, 1 if arguments.quick else 3)
            local.append(ours.release(LOCAL, number))
    return {
        "host": host(),
        "took_s": round(time.monotonic() - begun),
        "start": at_start,
        "slots": in_slots,
        "cpu": cost.compare(local, by_ssh),
        "peers": contested,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ssh", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    parser.add_argument("--quick", action="store_true", help="a fifth of the scripts")
    parser.add_argument(
        "--peers-venv",
        type=Path,
        default=_ROOT / "build" / "peers",
        help="where Ansible, Fabric, parallel-ssh and pyinfra are, or shall be installed",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
