"""Attempts: none but those that a step's own policy asks for, and no step before its turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from battery.case import Case, Policy, Run
from benchmarks.times import Span, spans
from benchmarks.violation import Violation


def unlawful(case: Case) -> Iterator[Violation]:
    """A further attempt at a step on a machine that nobody may make."""
    for (deployment, step, machine), attempts in by_place(case).items():
        policy = case.policies[case.deployments[deployment].project][step]
        numbers = [run.attempt for run in attempts]
        if numbers != list(range(1, len(attempts) + 1)):
            message = f"dep-{deployment}, step {step + 1}: attempts {numbers}"
            yield Violation("attempts", message, machine)
        for count, (run, following) in enumerate(pairwise(attempts), 1):
            failed = sum(1 for each in attempts[:count] if each.state == "failed")
            if why := _forbidden(case, run, policy, failed):
                message = f"{following.name} follows {run.name}, which {why}"
                yield Violation("attempts", message, machine)


def by_place(case: Case) -> dict[tuple[int, int, str], list[Run]]:
    """The attempts at each step on each machine, by deployment, step and machine."""
    found: defaultdict[tuple[int, int, str], list[Run]] = defaultdict(list)
    for run in sorted(case.runs, key=lambda run: run.attempt):
        found[run.deployment, run.step, run.machine].append(run)
    return found


def _forbidden(case: Case, run: Run, policy: Policy, failed: int) -> str | None:
    """Why nothing may follow this one, of which so many have failed with it; ``None``: it may."""
    if run.state == "failed":
        if run.answered:
            return "somebody says has failed"
        return f"failed, the {failed}. of {policy.retries + 1}" if failed > policy.retries else None
    if run.state == "unknown":
        answer = case.ledger.answer_to(run.name)
        if policy.on_unknown == "rerun" or (policy.on_unknown == "ask" and answer == "rerun"):
            return None
        return f"is unknown, policy {policy.on_unknown}, answer {answer}"
    return f"is {run.state}"


def steps_out_of_turn(case: Case) -> Iterator[Violation]:
    """A script that began before all scripts of its deployment's earlier step had ended."""
    times, source = spans(case.evidence)
    if source != "stamps":
        return
    steps: defaultdict[int, defaultdict[int, list[tuple[Span, Run]]]]
    steps = defaultdict(lambda: defaultdict(list))
    for run in case.runs:
        if run.name in times:
            steps[run.deployment][run.step].append((times[run.name], run))
    for found in steps.values():
        for earlier, later in pairwise(sorted(found)):
            last, before = max(found[earlier], key=lambda each: each[0].end)
            first, after = min(found[later], key=lambda each: each[0].begin)
            if first.begin < last.end:
                message = f"{after.name} (step {later + 1}) began before {before.name} had ended"
                yield Violation("step order", message, after.machine)
