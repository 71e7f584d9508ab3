"""What deployments and step runs ask of admission."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from deployengine.domain.admission import Claim, Mode, Request
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.plan import ELSEWHERE, Plan
from deployengine.persistence.records import DeploymentRecord, RunRecord


def tag_resource(tag: str) -> str:
    """The admission resource that stands for a task tag."""
    return f"tag:{tag}"


def deployment_label(deployment: DeploymentRecord) -> str:
    """How people recognise a deployment: "app-017 1.4.0 → Staging"."""
    return f"{deployment.project} {deployment.version} → {deployment.environment}"


def run_label(deployment: DeploymentRecord, plan: Plan, run: RunRecord) -> str:
    """How people recognise a run: "app-017 1.4.0 → Staging · Install on stg-2"."""
    step = plan.steps[run.step]
    again = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    other = step.runs[run.place].runs_on
    place = on_machine(run, other.name if other else None)
    return f"{deployment_label(deployment)} · {step.name}{place}{again}"


def on_machine(run: RunRecord, runs_on: str | None = None) -> str:
    """Where a run is; a manual step is nowhere. Another machine may carry it out for its own."""
    if runs_on is not None:
        return f" on {runs_on} for {run.machine}"
    if run.lock_mode == ELSEWHERE:
        return f" for {run.machine}"
    return f" on {run.machine}" if run.machine else ""


def for_deployment(deployment: DeploymentRecord) -> Request:
    """A deployment asks for its task tag, so that no two of one tag are ever in parallel.

    And for the machines that it holds as a whole, all at once and before any run of it exists.
    """
    if deployment.ticket is None:
        raise ValueError(f"deployment {deployment.id} is not ready: it has no ticket")
    return Request(
        id=deployment_id(deployment.id),
        ticket=deployment.ticket,
        claims=(Claim(tag_resource(deployment.tag), Mode.EXCLUSIVE), *holds(deployment)),
        label=deployment_label(deployment),
    )


def holds(deployment: DeploymentRecord) -> tuple[Claim, ...]:
    """What a deployment holds from its first step to its last."""
    return tuple(
        Claim(resource, Mode(mode), limit) for resource, mode, limit in deployment.holds or ()
    )


def for_run(deployment: DeploymentRecord, plan: Plan, run: RunRecord) -> Request:
    """A run asks for its machine and for what its step touches, all at once.

    A machine that its deployment holds as a whole is inherited: who holds must not ask for more of
    the same. Of that it asks for a share of its deployment's own, in which its runs take turns.
    """
    if run.ticket is None:
        raise ValueError(f"run {run.id} is not ready: it has no ticket")
    inherited = {claim.resource for claim in holds(deployment)}
    return Request(
        id=run_id(run.id),
        ticket=run.ticket,
        claims=tuple(
            replace(claim, resource=f"{deployment_id(deployment.id)}/{claim.resource}")
            if claim.resource in inherited
            else claim
            for claim in plan.steps[run.step].runs[run.place].claims
        ),
        label=run_label(deployment, plan, run),
    )


def for_deployments(deployments: Iterable[DeploymentRecord]) -> list[Request]:
    """The requests of those deployments that have a place in line."""
    return [for_deployment(deployment) for deployment in deployments if deployment.ticket]
