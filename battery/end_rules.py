"""Ends: every release came to rest, and none badly unless something was done to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from battery import scenario
from battery.case import Case, Deployment, Run
from benchmarks.violation import Violation

OPEN = ("queued", "running", "paused")
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
        key = (deployment.project, deployment.version)
        states[key][deployment.environment] = deployment.state
    for given in sorted(case.given):
        found = states.get(given, {})
        label = " ".join(given)
        if not found:
            yield Violation("lost", f"{label}: accepted, and never deployed")
        elif given in case.given_up or any(s != "succeeded" for s in found.values()):
            continue
        elif missing := [stage for stage in scenario.STAGES if stage not in found]:
            yield Violation("lost", f"{label}: never came to {', '.join(missing)}")


def not_at_rest(case: Case) -> Iterator[Violation]:
    """Whatever is open when nothing is under way any more."""
    for deployment in case.deployments.values():
        if deployment.state in OPEN:
            yield Violation("stuck", f"{_label(deployment)} is {deployment.state}")
    for run in case.runs:
        if run.state in OPEN_RUN:
            label = _label(case.deployments[run.deployment])
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


def codes(case: Case) -> Iterator[Violation]:
    """What the database says of a run's end and its journal does not."""
    for run in case.runs:
        end = case.ends.get(run.name)
        answered = run.state == "succeeded" and run.exit_code is None
        if run.state == "succeeded" and end != "end" and not answered:
            message = f"{run.name} succeeded, its journal's last word is {end}"
            yield Violation("false success", message, run.machine)
        if answered and run.name not in _killed(case) and not case.wrappers_lost:
            message = f"{run.name} succeeded without an exit code"
            yield Violation("false success", message, run.machine)


def unexplained(case: Case) -> Iterator[Violation]:
    """A deployment or run that ended badly though nothing that was done to it explains that."""
    bad: defaultdict[int, list[Run]] = defaultdict(list)
    # A wrapper that died at a failpoint is not known by the ticket of its run, only by number.
    nameless = case.wrappers_lost
    for run in case.runs:
        if run.state in ("failed", "unknown", "cancelled"):
            bad[run.deployment].append(run)
            if _explained(case, run):
                continue
            if nameless and _wrapper_died(run):
                nameless -= 1
            else:
                message = f"{run.name} ({_label(case.deployments[run.deployment])}) is {run.state}"
                message += f", exit code {run.exit_code}: {run.message}"
                yield Violation("unexplained end", message, run.machine)
    for deployment in case.deployments.values():
        if deployment.state == "succeeded" or deployment.state in OPEN:
            continue
        if deployment.state == "cancelled" and _cancelled(case, deployment):
            continue
        if not bad[deployment.id]:
            message = f"{_label(deployment)} is {deployment.state}: {deployment.message}"
            yield Violation("unexplained end", message)


def _explained(case: Case, run: Run) -> bool:
    deployment = case.deployments[run.deployment]
    if run.state == "cancelled" or run.exit_code == 143:
        return _cancelled(case, deployment)
    if run.name in _killed(case):
        return True
    if run.machine in case.ledger.targets("disk full under a work folder"):
        return run.exit_code == scenario.NO_ROOM or "room" in run.message
    if run.machine in case.ledger.targets("disk full under tickets"):
        return run.exit_code is None and "room" in run.message
    return False


def _wrapper_died(run: Run) -> bool:
    return run.state == "unknown" or (run.state == "failed" and "was killed" in run.message)


def _killed(case: Case) -> set[str]:
    """The runs whose script or wrapper the battery has killed."""
    return case.ledger.targets("wrapper killed", "wrapper and script killed")


def _cancelled(case: Case, deployment: Deployment) -> bool:
    released = (deployment.project, deployment.version)
    return deployment.id in case.cancelled or released in case.given_up


def _label(deployment: Deployment) -> str:
    return f"{deployment.project} {deployment.version} → {deployment.environment}"
