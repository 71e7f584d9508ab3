"""``python -m battery``: see ``docs/battery.md``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from battery import mutations, report, rounds
from battery.campaign import Campaign
from battery.measures.__main__ import main as measure
from battery.round import Outcome, Plan, play
from battery.schedule import drawn
from benchmarks.system import Broken
from tests.support.postgres import private_postgres

#: Faults that make a campaign worth its name, and a soak.
LEAST, LEAST_OF_SOAK = 100, 2000
#: So many of the failpoints that are left are named after each round.
NAMED = 6


def main() -> int:
    """0: all rules kept and everything reached; 1: not; 2: it could not be tried."""
    if sys.argv[1:2] in (["measures"], ["demo"]):
        # They have a command line of their own, see ``battery/measures``.
        return measure(sys.argv[1 + (sys.argv[1] == "measures") :])
    arguments = _arguments()
    # Who is told to end takes his houses away with him: servers, processes, mounted disks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return int(arguments.act(arguments))
    except Broken as error:
        print(f"battery: {error.args[0]}", file=sys.stderr)
        return 2


def _ci(arguments: argparse.Namespace) -> int:
    campaign = rounds.ci(arguments.seed, 60 * arguments.minutes, _tell)
    return _end(campaign, arguments)


def _soak(arguments: argparse.Namespace) -> int:
    campaign = rounds.soak(arguments.seed, arguments.minutes, arguments.record, _tell)
    return _end(campaign, arguments)


def _mutations(arguments: argparse.Namespace) -> int:
    found = []
    for finding in mutations.findings(arguments.seed, arguments.only, _quiet):
        found.append(finding)
        if not arguments.json:
            print(report.finding(finding), flush=True)
    untried = [] if arguments.only else mutations.untried()
    if arguments.json:
        documents = [finding.document() for finding in found]
        print(json.dumps({"mutations": documents, "untried": untried}, indent=2))
    elif untried:
        print(f"FAILED: no trial for {', '.join(untried)}")
    return 0 if all(finding.good for finding in found) and not untried else 1


def _quiet(_outcome: Outcome) -> None:
    """What becomes of a trial stands in its finding."""


def _one_round(arguments: argparse.Namespace) -> int:
    seed, lease = arguments.seed, arguments.lease
    plan = Plan(
        seed,
        drawn(seed, arguments.faults, arguments.spacing, lease) if arguments.faults else [],
        failpoints=arguments.failpoints,
        at_most=arguments.at_most,
        lease=lease,
        mutations=tuple(arguments.without),
        keep=arguments.keep,
    )
    if arguments.database == "sqlite":
        outcome = play(plan, None)
    else:
        with private_postgres() as server:
            outcome = play(plan, server)
    _tell(outcome, ())
    if arguments.json:
        print(json.dumps(outcome.document(), indent=2, ensure_ascii=False))
    return 1 if outcome.violations else 0


def _tell(outcome: Outcome, left: Sequence[str]) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    line = f"{outcome.seed} on {outcome.database}: {outcome.injected} faults,"
    line += f" {outcome.releases} releases, {outcome.seconds:.0f} s,"
    line += f" {len(outcome.violations)} rules broken"
    if left:
        names = ", ".join(left[:NAMED]) + (", …" if len(left) > NAMED else "")
        line += f"; failpoints left: {len(left)} ({names})"
    print(line, file=sys.stderr, flush=True)
    for violation in outcome.violations[:10]:
        place = f" [{violation.machine}]" if violation.machine else ""
        print(f"  {violation.rule}: {violation.message}{place}", file=sys.stderr, flush=True)


def _end(campaign: Campaign, arguments: argparse.Namespace) -> int:
    # Who is root, or a CI, has to see to it that disks can be mounted.
    mounts = os.geteuid() == 0 or bool(os.environ.get("CI"))
    complaints = campaign.complaints(arguments.least, mounts)
    if arguments.json:
        document = {**campaign.document(), "complaints": complaints}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(report.text(campaign, complaints))
    return 1 if complaints else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m battery", description=__doc__)
    commands = parser.add_subparsers(required=True)

    commands.add_parser("measures", help="take-over, Redis lost, database away: a table")
    commands.add_parser("demo", help="the shipped demo while workers are killed and Redis wiped")

    ci = commands.add_parser("ci", help="both databases, every failpoint, a few minutes")
    ci.set_defaults(act=_ci)
    ci.add_argument("--minutes", type=float, default=7.5, help="at most, with all hunts")

    soak = commands.add_parser("soak", help="rounds with new seeds until the time is over")
    soak.set_defaults(act=_soak)
    soak.add_argument("--minutes", type=float, default=60.0)
    soak.add_argument("--record", type=Path, default=Path("soak.jsonl"), help="a line per round")

    left_out = commands.add_parser("mutations", help="leave each protection out in turn")
    left_out.set_defaults(act=_mutations)
    left_out.add_argument("--only", action="append", default=[], metavar="PROTECTION")

    single = commands.add_parser("round", help="one round, to look into")
    single.set_defaults(act=_one_round)
    single.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    single.add_argument("--faults", type=int, default=0)
    single.add_argument("--spacing", type=float, default=0.7)
    single.add_argument("--failpoints", action="store_true")
    single.add_argument("--at-most", type=float, default=75.0)
    single.add_argument("--lease", type=float, default=1.5)
    single.add_argument("--without", action="append", default=[], metavar="PROTECTION")
    single.add_argument("--keep", action="store_true", help="keep the house, to look at")
    for each, least in ((ci, LEAST), (soak, LEAST_OF_SOAK)):
        words = "so many faults must be injected; acts of people and supervisors are not counted"
        each.add_argument("--least", type=int, default=least, help=words)
    for each in (ci, soak, left_out, single):
        each.add_argument("--seed", default="1")
        each.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
