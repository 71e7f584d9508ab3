"""Attempts: none but those that a step's own policy or a person asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from battery.case import Case, Run
from battery.policies import Policy
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
    answer = case.ledger.said_to(run.name)
    if run.state == "failed":
        if run.answered:
            wanted = policy.guided and answer == "retry"
            return None if wanted else f"somebody says has failed, answer {answer}"
        return f"failed, the {failed}. of {policy.retries + 1}" if failed > policy.retries else None
    if run.state == "unknown":
        asks = policy.on_unknown == "ask" or policy.guided
        if policy.on_unknown == "rerun" or (asks and answer == "rerun"):
            return None
        return f"is unknown, policy {policy.on_unknown}, answer {answer}"
    return f"is {run.state}"
