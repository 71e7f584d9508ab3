"""Ends: every release came to rest, and none badly unless something was done to it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from battery import scenario
from battery.attempt_rules import by_place
from battery.case import Case, Death, Deployment, Run
from benchmarks.violation import Violation

OPEN = ("queued", "running", "paused")
#: After these the engine may say that a machine was out of reach, where it has begun nothing.
SSH_FAULTS = ("SSH connections cut", "SSH stands still", "SSH refused")
#: What is on record of a script that was told to end: its own code, or that of a ticket whose
#: wrapper did not live to record one.
ENDED = (143, 137)
#: Who asks for what machines have missed.
BY_ITSELF = "deployengine"
OPEN_RUN = ("pending", "waiting", "running")

OPEN_STEPS = """
select d.id, d.project, d.environment, s.position, s.state, s.open_runs
from step s join deployment d on d.id = s.deployment_id
where s.open_runs <> 0 or s.state = 'open'
or (s.state <> 'done' and d.state in ('queued', 'running', 'paused', 'succeeded'))
"""
TOUCHING = """
select t.run_id, r.state from run_touch t join step_run r on r.id = t.run_id
where r.state not in ('waiting', 'running')
"""


def lost(case: Case) -> Iterator[Violation]:
    """A release that was accepted and is not there, or stopped half-way without a reason."""
    states: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for deployment in case.deployments.values():
        # What somebody deploys once more by hand has no say in how the release came through.
        if deployment.automatic:
            key = (deployment.project, deployment.version)
            states[key][deployment.environment] = deployment.state
    for given in sorted(case.given):
        found = states.get(given, {})
        label = " ".join(given)
        if not found:
            yield Violation("lost", f"{label}: accepted, and never deployed")
            continue
        if given in case.given_up or any(s != "succeeded" for s in found.values()):
            continue
        missing = [stage for stage in scenario.STAGES if stage not in found]
        if missing and not _overtaken(case, given, missing[0]):
            yield Violation("lost", f"{label}: never came to {', '.join(missing)}")


def _overtaken(case: Case, given: tuple[str, str], environment: str) -> bool:
    """Whether a newer release of a hasty project is where this one would have gone next."""
    project, version = given
    return project in scenario.HASTY and any(
        (d.project, d.environment) == (project, environment) and float(d.version) > float(version)
        for d in case.deployments.values()
    )


def not_at_rest(case: Case) -> Iterator[Violation]:
    """Whatever is open when nothing is under way any more."""
    for deployment in case.deployments.values():
        if deployment.state in OPEN:
            yield Violation("stuck", f"{deployment.label} is {deployment.state}")
    for run in case.runs:
        if run.state in OPEN_RUN:
            label = case.deployments[run.deployment].label
            yield Violation("stuck", f"{run.name} of {label} is {run.state}", run.machine)
    for number, project, environment, position, state, left in case.database.rows(OPEN_STEPS):
        message = f"step {position + 1} of dep-{number} ({project} → {environment})"
        yield Violation("stuck", f"{message} is {state} with {left} open runs")
    for number, state in case.database.rows(TOUCHING):
        yield Violation("leftover", f"run-{number} is {state} and still touches something")


def promotions(case: Case) -> Iterator[Violation]:
    """A release that came to an environment by itself twice, or before the one before."""
    count = Counter(
        (d.project, d.version, d.environment) for d in case.deployments.values() if d.automatic
    )
    for (project, version, environment), times in count.items():
        if times > 1:
            yield Violation("promoted twice", f"{project} {version} → {environment}: {times} times")
    succeeded = {
        (d.project, d.version, d.environment)
        for d in case.deployments.values()
        if d.state == "succeeded"
    }
    stages = list(scenario.STAGES)
    for project, version, environment in count:
        before = stages[: stages.index(environment)]
        for stage in before:
            if (project, version, stage) not in succeeded:
                message = f"{project} {version} → {environment} without a success in {stage}"
                yield Violation("promoted early", message)


def superseded(case: Case) -> Iterator[Violation]:
    """A deployment that had to make room for a newer one, and of which something ran."""
    for run in case.runs:
        deployment = case.deployments[run.deployment]
        if deployment.state == "superseded" and run.name in case.evidence.stamps:
            yield Violation("superseded", f"{run.name} of {deployment.label} ran", run.machine)


def codes(case: Case) -> Iterator[Violation]:
    """What the database says of a run's end and its journal does not."""
    for run in case.runs:
        if run.state != "succeeded" or _said_to_have_succeeded(case, run):
            continue
        if case.policy(run).manual:
            message = f"{run.name} succeeded, and nobody said that it may proceed"
            yield Violation("false success", message)
            continue
        end = case.ends.get(run.name)
        if run.exit_code is None:
            message = f"{run.name} succeeded without an exit code"
            yield Violation("false success", message, run.machine)
        elif end != "end":
            message = f"{run.name} succeeded, its journal's last word is {end}"
            yield Violation("false success", message, run.machine)
        elif _slips(case, run):
            message = f"{run.name} succeeded, its script always fails there"
            yield Violation("false success", message, run.machine)


def _said_to_have_succeeded(case: Case, run: Run) -> bool:
    """Whether a person answered so, and was asked as the project wishes."""
    policy = case.policy(run)
    answer = case.ledger.said_to(run.name)
    if policy.manual:
        return run.answered and answer == "proceed"
    asked = run.answered and run.exit_code is None and (policy.on_unknown == "ask" or policy.guided)
    return asked and answer == "succeeded"


def _slips(case: Case, run: Run) -> bool:
    """Whether its script fails whatever happens."""
    project = case.deployments[run.deployment].project
    return run.attempt == 1 and scenario.SLIPS.get(project) == run.machine


def unexplained(case: Case) -> Iterator[Violation]:
    """A deployment or run that ended badly though nothing that was done to it explains that."""
    # Those of which least is known explain what is left; of two of those the earlier one fits less.
    deaths = sorted(case.deaths, key=lambda death: (death.latest - death.earliest, death.latest))
    for run in case.runs:
        bad = run.state in ("failed", "unknown", "cancelled") or run.answered
        if not bad or _explained(case, run):
            continue
        if death := next((death for death in deaths if _died_of(case, run, death)), None):
            deaths.remove(death)
            continue
        message = f"{run.name} ({case.deployments[run.deployment].label}) is {run.state}"
        message += f", exit code {run.exit_code}: {run.message}"
        yield Violation("unexplained end", message, run.machine)
    last: defaultdict[int, list[Run]] = defaultdict(list)
    for (number, _, _), attempts in by_place(case).items():
        last[number].append(attempts[-1])
    for deployment in case.deployments.values():
        if not _follows(case, deployment, last[deployment.id]):
            message = f"{deployment.label} is {deployment.state}: {deployment.message}"
            yield Violation("unexplained end", message)


def _follows(case: Case, deployment: Deployment, last: list[Run]) -> bool:
    """Whether its end is that of the last attempts of its places."""
    excluded = {run.machine for run in last if case.ledger.said_to(run.name) == "exclude"}
    counted = [run for run in last if not _forgiven(case, run) and run.machine not in excluded]
    lenient = deployment.project == scenario.LENIENT
    states = {run.state for run in counted if not (lenient and run.state == "skipped")}
    if deployment.state == "cancelled":
        return _cancelled(case, deployment)
    if deployment.state == "superseded":
        return deployment.project in scenario.HASTY or deployment.requested_by == BY_ITSELF
    if deployment.state == "failed":
        nowhere = lenient and _carried_out_nowhere(counted)
        return "failed" in states or "unknown" in states or nowhere
    return deployment.state in OPEN or states <= {"succeeded"}


def _carried_out_nowhere(runs: list[Run]) -> bool:
    """Whether some step was skipped on every machine, as none of them could be used."""
    steps: defaultdict[int, set[str]] = defaultdict(set)
    for run in runs:
        steps[run.step].add(run.state)
    return any(states == {"skipped"} for states in steps.values())


def _forgiven(case: Case, run: Run) -> bool:
    """Whether a person said that the deployment goes on without what failed."""
    answer = case.ledger.said_to(run.name)
    return run.state == "failed" and run.answered and answer in ("ignore", "exclude")


def _explained(case: Case, run: Run) -> bool:
    deployment = case.deployments[run.deployment]
    if run.state == "cancelled" or run.exit_code in ENDED:
        return deployment.state == "superseded" or _cancelled(case, deployment)
    if case.policy(run).manual:
        answer = case.ledger.said_to(run.name)
        return run.answered and answer == {"succeeded": "proceed", "failed": "abort"}[run.state]
    if _slips(case, run) and run.exit_code == scenario.SLIPPED:
        return True
    if run.name in _killed(case):
        return run.exit_code is None
    span = case.span(run)
    if case.ledger.during(["disk full under a work folder"], run.machine, *span):
        return run.exit_code == scenario.NO_ROOM or "room" in run.message
    if case.ledger.during(["machine out of use"], run.machine, *span):
        told = ("can't be used", "could not begin")
        return run.exit_code is None and any(word in run.message for word in told)
    if case.ledger.during(SSH_FAULTS, run.machine, *span):
        broke = any(word in run.message for word in ("cannot be reached", "the connection broke"))
        return run.state == "failed" and broke and run.name not in case.evidence.stamps
    if case.ledger.during(["disk full under tickets"], run.machine, *span):
        return run.exit_code is None and "room" in run.message
    return False


def _died_of(case: Case, run: Run, death: Death) -> bool:
    """Whether this wrapper may have been that of the run, by what it left behind and when.

    Before it has made its record it leaves nothing, and its starter says that the run could not
    begin. After that the end is unknown: of a script that never began, or of one that has ended
    and whose exit status was not written. A wrapper that died after that took nothing with it.
    """
    if run.exit_code is not None:
        return False
    begin, end = case.span(run)
    stamped = run.name in case.evidence.stamps
    if run.state == "failed" and "its shell was killed" in run.message:
        fits = death.point == "ticket.state.before" and not stamped
    elif run.state != "unknown" and not run.answered:
        fits = False
    elif stamped:
        # The script's last stamp is when the wrapper came to that door.
        fits = death.point == "ticket.exit.before" and end < math.inf
        begin = end
    else:
        fits = death.point == "ticket.state.after"
    return fits and death.earliest <= end and begin <= death.latest


def _killed(case: Case) -> set[str]:
    """The runs whose script or wrapper the battery has killed."""
    return case.ledger.targets("wrapper killed", "wrapper and script killed")


def _cancelled(case: Case, deployment: Deployment) -> bool:
    released = (deployment.project, deployment.version)
    return deployment.id in case.cancelled or released in case.given_up
