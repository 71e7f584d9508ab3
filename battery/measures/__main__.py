"""``python -m battery.measures NAME``: one measure, or ``all`` of them.

0: every figure keeps its goal and nothing was harmed; 1: not so; the harms are told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from battery.measures import database_away, demo, redis_lost, take_over
from battery.measures.figure import Measured, table
from benchmarks.system import Broken

Act = Callable[[argparse.Namespace], Iterator[Measured]]


def main(words: Sequence[str] | None = None) -> int:
    """Measures what the words ask for; the exit code."""
    arguments = _parser().parse_args(words)
    measured: list[Measured] = []
    try:
        for each in arguments.act(arguments):
            measured.append(each)
            print(f"{each.name}: {'reached' if each.reached else 'NOT reached'}", file=sys.stderr)
    except Broken as broken:
        print(f"nothing to print, since {broken.args[0]}", file=sys.stderr)
        return 1
    if arguments.json:
        documents = [each.document() for each in measured]
        print(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        print(table(measured))
    return 0 if all(each.reached for each in measured) else 1


def _take_over(arguments: argparse.Namespace) -> Iterator[Measured]:
    yield take_over.measure(arguments.samples, arguments.lease, arguments.how)


def _redis_lost(arguments: argparse.Namespace) -> Iterator[Measured]:
    yield redis_lost.measure(arguments.parked, arguments.times, arguments.seed)


def _database_away(arguments: argparse.Namespace) -> Iterator[Measured]:
    yield database_away.measure(arguments.seconds, arguments.seed)


def _demo(arguments: argparse.Namespace) -> Iterator[Measured]:
    yield demo.measure(arguments.kills, arguments.wipes, arguments.seed)


def _all(arguments: argparse.Namespace) -> Iterator[Measured]:
    for how in ("kill", "quit"):
        yield take_over.measure(arguments.samples, take_over.GOAL_LEASE, how)
    yield from _redis_lost(arguments)
    yield database_away.measure(arguments.seconds, 1)
    yield from _demo(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m battery.measures", description=__doc__)
    names = parser.add_subparsers(required=True, metavar="NAME")
    one = _measure(names, "take-over", take_over.__doc__, "--samples 60 --how quit", _take_over)
    one.add_argument("--samples", type=int, default=60, help="runs that are taken over")
    one.add_argument("--lease", type=float, default=take_over.GOAL_LEASE, help="seconds")
    one.add_argument("--how", choices=sorted(take_over.HOW), default="kill")
    one = _measure(names, "redis-lost", redis_lost.__doc__, "--parked 10000", _redis_lost)
    _add_redis_lost(one)
    one.add_argument("--seed", default="1", help="of the moments")
    away = "--seconds 60"
    one = _measure(names, "database-away", database_away.__doc__, away, _database_away)
    one.add_argument("--seconds", type=float, default=60, help="for which it is away")
    one.add_argument("--seed", type=int, default=1, help="of the scripts' lengths")
    one = _measure(names, "demo", demo.__doc__, "--kills 10 --wipes 2 --seed 1", _demo)
    _add_demo(one)
    one = _measure(names, "all", "All of them, in one table.", "", _all)
    one.add_argument("--samples", type=int, default=60, help="of take-over, each way")
    one.add_argument("--seconds", type=float, default=60, help="of database-away")
    _add_redis_lost(one)
    _add_demo(one)
    return parser


def _add_redis_lost(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parked", type=int, default=10_000, help="runs that wait")
    parser.add_argument("--times", type=int, default=6, help="that Redis is lost in each way")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=10, help="of every worker that is there")
    parser.add_argument("--wipes", type=int, default=2, help="of Redis")
    parser.add_argument("--seed", default="1", help="of the moments")


def _measure(
    names: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    told: str | None,
    example: str,
    act: Act,
) -> argparse.ArgumentParser:
    first, _, _ = (told or "").partition("\n")
    parser = names.add_parser(
        name,
        help=first,
        description=told,
        epilog=f"Example:  python -m battery.measures {name} {example}".rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="a list of documents, with details")
    parser.set_defaults(act=act)
    return parser


if __name__ == "__main__":
    sys.exit(main())
