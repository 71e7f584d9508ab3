"""The judge: says from the machines' own journals whether what happened was lawful.

``python -m benchmarks.journal HOME [--task-cap N] [--database-url URL]`` prints one JSON document
and exits with 1 when a rule was broken. It shares no code with the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine_rules, order_rules, plan_rules
from benchmarks.evidence import Evidence, gather
from benchmarks.times import Span, spans
from benchmarks.violation import Violation

#: How many violations are told one by one.
TOLD = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found; ``source`` says which clock told when scripts began and ended."""

    begun: int
    machines: int
    peak: int
    source: str
    violations: tuple[Violation, ...]

    @property
    def lawful(self) -> bool:
        """Whether no rule was broken."""
        return not self.violations

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "lawful": self.lawful,
            "runs_begun": self.begun,
            "machines": self.machines,
            "peak_concurrency": self.peak,
            "times_from": self.source,
            "broken": dict(Counter(v.rule for v in self.violations)),
            "violations": [asdict(v) for v in self.violations[:TOLD]],
        }


def judge(evidence: Evidence, task_cap: int | None = None) -> Verdict:
    """Applies every rule; without a task cap that one is left out."""
    times, source = spans(evidence)
    return Verdict(
        begun=sum(line.kind == "begin" for lines in evidence.journals.values() for line in lines),
        machines=len(evidence.journals),
        peak=order_rules.peak(times.values()),
        source=source,
        violations=tuple(_broken(evidence, times, task_cap)),
    )


def _broken(
    evidence: Evidence, times: Mapping[str, Span], task_cap: int | None
) -> Iterator[Violation]:
    yield from machine_rules.journal_broken(evidence)
    yield from machine_rules.mutex_broken(evidence)
    yield from machine_rules.ticket_order_broken(evidence)
    yield from plan_rules.not_planned(evidence)
    yield from plan_rules.not_carried_out(evidence)
    yield from order_rules.phases_broken(evidence, times)
    yield from order_rules.tags_broken(evidence, times)
    yield from order_rules.cap_broken(times, task_cap)


def main() -> int:
    """Judges one home."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--task-cap", type=int, help="of all workers together")
    parser.add_argument("--database-url", help="where it is not the SQLite file in the home")
    arguments = parser.parse_args()
    verdict = judge(gather(arguments.home, arguments.database_url), arguments.task_cap)
    print(json.dumps(verdict.document(), indent=2, ensure_ascii=False))
    return 0 if verdict.lawful else 1


if __name__ == "__main__":
    sys.exit(main())
