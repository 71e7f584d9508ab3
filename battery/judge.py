"""The judge: every rule over one round's evidence. It shares no code with the engine."""

from __future__ import annotations

from collections.abc import Iterator

from battery import (
    attempt_rules,
    claim_rules,
    end_rules,
    log_rules,
    output_rules,
    priority_rules,
    request_rules,
    secret_rules,
    time_rules,
    turn_rules,
)
from battery.case import Case
from benchmarks.journal import judge as judge_journals
from benchmarks.violation import Violation


def judge(case: Case) -> list[Violation]:
    """What was broken; nothing, if nothing was."""
    return list(_broken(case))


def _broken(case: Case) -> Iterator[Violation]:
    journals = judge_journals(case.evidence)
    yield from journals.violations
    if journals.begun and journals.source != "stamps":
        yield Violation("no stamps", "a script that began has left no stamp")
    yield from claim_rules.clashes(case)
    yield from claim_rules.shares(case)
    yield from attempt_rules.unlawful(case)
    yield from turn_rules.out_of_turn(case)
    yield from priority_rules.overtaken(case)
    yield from priority_rules.void_grants(case)
    yield from time_rules.out_of_time(case)
    yield from request_rules.forgotten(case)
    yield from end_rules.lost(case)
    yield from end_rules.not_at_rest(case)
    yield from end_rules.unexplained(case)
    yield from end_rules.promotions(case)
    yield from end_rules.superseded(case)
    yield from end_rules.codes(case)
    yield from output_rules.incomplete(case)
    yield from secret_rules.told(case)
    yield from log_rules.tracebacks(case)
    yield from (Violation("surprise", said) for said in case.ledger.surprises)
