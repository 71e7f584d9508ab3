"""Values: what variables come to for a step of a deployment, on a machine or on none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployengine.domain.environment import Machine
from deployengine.domain.identity import deployment_id
from deployengine.domain.insertion import Plain, plain_values
from deployengine.domain.planning import Unseal
from deployengine.domain.project import Step, StepKind
from deployengine.domain.prompts import answered
from deployengine.domain.release import Snapshot
from deployengine.domain.variables import (
    Context,
    Sealed,
    key,
    resolve_all,
    system_source,
    system_variables,
)
from deployengine.persistence.records import DeploymentRecord, RunRecord


def values_of(
    deployment: DeploymentRecord,
    snapshot: Snapshot,
    step: Step,
    machine: Machine | None,
    earlier: Sequence[RunRecord],
    unseal: Unseal,
) -> dict[str, Plain]:
    """Every variable by its key, and what the runs of ``earlier`` steps set as outputs."""
    system = system_variables(
        project=deployment.project,
        release=deployment.version,
        environment=deployment.environment,
        machine=machine.name if machine else None,
        roles=machine.roles if machine else None,
        step=step.name,
        deployment=deployment_id(deployment.id),
        channel=snapshot.channel,
        **_package(snapshot, step),
    )
    context = Context(
        environment=deployment.environment,
        machine=machine.name if machine else None,
        roles=machine.roles if machine else (),
        channel=snapshot.channel,
        step=step.name,
        phase=deployment.phase,
    )
    given = stored_values(deployment)
    sources = (
        system_source(system),
        *(answered(snapshot.sources, given) if given else snapshot.sources),
    )
    return {
        **plain_values(resolve_all(sources, context), unseal),
        **_packages(snapshot),
        **_outputs(earlier, snapshot, machine, unseal),
    }


def _package(snapshot: Snapshot, step: Step) -> dict[str, str]:
    """What a package step knows of its package."""
    if step.kind is not StepKind.PACKAGE:
        return {}
    package = snapshot.packages[step.package]
    return {"package": package.name, "package_version": package.version, "feed": package.feed}


def _packages(snapshot: Snapshot) -> dict[str, Plain]:
    """The packages of all steps that have one, by the names of Octopus."""
    found = {}
    for step in snapshot.process:
        if step.kind is StepKind.PACKAGE:
            package = snapshot.packages[step.package]
            said = {"PackageId": package.name, "PackageVersion": package.version}
            for name, text in said.items():
                full = f"Octopus.Action[{step.name}].Package.{name}"
                found[key(full)] = Plain(full, text)
    return found


def stored_values(deployment: DeploymentRecord) -> dict[str, str | Sealed]:
    """The values of prompted variables that were given for a deployment."""
    given: Mapping[str, Any] = (deployment.options or {}).get("values", {})
    return {n: v if isinstance(v, str) else Sealed.from_document(v) for n, v in given.items()}


def _outputs(
    earlier: Sequence[RunRecord], snapshot: Snapshot, machine: Machine | None, unseal: Unseal
) -> Mapping[str, Plain]:
    """Outputs by the names of Octopus: of one machine, and without a machine of this one first."""
    found: dict[str, Plain] = {}
    here = machine.name if machine else None
    for run in sorted(earlier, key=lambda run: (run.machine == here, run.id)):
        prefix = f"Octopus.Action[{snapshot.process[run.step].name}].Output"
        for name, value in (run.outputs or {}).items():
            plain = isinstance(value, str)
            text = value if isinstance(value, str) else unseal(Sealed(**value))
            literal = text.replace("#{", "##{")  # a script's words are no references
            for full in (f"{prefix}.{name}", f"{prefix}[{run.machine}].{name}"):
                found[key(full)] = Plain(full, literal, sensitive=not plain)
    return found
