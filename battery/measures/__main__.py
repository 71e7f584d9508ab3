"""``python -m battery.measures NAME``: one measure, or ``all`` of them.

0: every figure keeps its goal and nothing was harmed; 1: not so; the harms are told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from battery.measures import take_over
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m battery.measures", description=__doc__)
    names = parser.add_subparsers(required=True, metavar="NAME")
    one = _measure(names, "take-over", take_over.__doc__, "--samples 60 --how quit", _take_over)
    one.add_argument("--samples", type=int, default=60, help="runs that are taken over")
    one.add_argument("--lease", type=float, default=take_over.GOAL_LEASE, help="seconds")
    one.add_argument("--how", choices=sorted(take_over.HOW), default="kill")
    return parser


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
