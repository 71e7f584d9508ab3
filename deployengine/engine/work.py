"""What a claimed run hands to its machine: the script with its values, and the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from deployengine.domain.admission import Mode
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.insertion import Plain, expand, insert_script, plain_values
from deployengine.domain.plan import PlannedRun, Unseal
from deployengine.domain.project import Step
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
from deployengine.steps.contract import Lock, OnStale, Work

#: A NUL can be in no environment, so what holds one is handed on in no form.
_NUL = "\0"


def work_of(
    run: RunRecord,
    deployment: DeploymentRecord,
    snapshot: Snapshot,
    step: Step,
    planned: PlannedRun,
    earlier: Sequence[RunRecord],
    unseal: Unseal,
    grace: timedelta,
) -> tuple[Work, frozenset[str]]:
    """The work, and the secrets that its output must be masked of.

    ``earlier`` are the runs of steps before this one, for what they set as outputs. Raises what
    ``insert_script`` raises when a value is missing or cannot be put in its place.
    """
    machine = planned.machine
    values = {
        **_values(deployment, snapshot, step, machine, unseal),
        **_outputs(earlier, snapshot, machine, unseal),
    }
    inserted = insert_script(step.script, values)
    variables, secrets = _expanded(values)
    work = Work(
        ticket=run_id(run.id),
        fence=run.fence or 0,
        script=inserted.text,
        environment={
            "DEPLOYENGINE_PROJECT": deployment.project,
            "DEPLOYENGINE_RELEASE": deployment.version,
            "DEPLOYENGINE_ENVIRONMENT": deployment.environment,
            "DEPLOYENGINE_MACHINE": machine.name,
            "DEPLOYENGINE_STEP": step.name,
            "DEPLOYENGINE_DEPLOYMENT": deployment_id(deployment.id),
            "DEPLOYENGINE_ATTEMPT": str(run.attempt),
            "DEPLOYENGINE_TICKET": run_id(run.id),
        },
        variables=variables,
        grace=grace,
        locks=tuple(Lock(c.resource, c.mode is Mode.EXCLUSIVE) for c in planned.claims),
        on_stale=OnStale(step.on_stale.value),
        earlier=tuple(run.revoked or ()),
    )
    return work, inserted.secrets | secrets


def _values(
    deployment: DeploymentRecord, snapshot: Snapshot, step: Step, machine: Machine, unseal: Unseal
) -> Mapping[str, Plain]:
    system = system_variables(
        project=deployment.project,
        release=deployment.version,
        environment=deployment.environment,
        machine=machine.name,
        roles=machine.roles,
        step=step.name,
        deployment=deployment_id(deployment.id),
        channel=snapshot.channel,
    )
    context = Context(
        environment=deployment.environment,
        machine=machine.name,
        roles=machine.roles,
        channel=snapshot.channel,
        step=step.name,
        phase=deployment.phase,
    )
    return plain_values(resolve_all((system_source(system), *snapshot.sources), context), unseal)


def _outputs(
    earlier: Sequence[RunRecord], snapshot: Snapshot, machine: Machine, unseal: Unseal
) -> dict[str, Plain]:
    """Outputs by the names of Octopus: of one machine, and without a machine of this one first."""
    found: dict[str, Plain] = {}
    for run in sorted(earlier, key=lambda run: (run.machine == machine.name, run.id)):
        prefix = f"Octopus.Action[{snapshot.process[run.step].name}].Output"
        for name, value in (run.outputs or {}).items():
            plain = isinstance(value, str)
            text = value if isinstance(value, str) else unseal(Sealed(**value))
            literal = text.replace("#{", "##{")  # a script's words are no references
            for full in (f"{prefix}.{name}", f"{prefix}[{run.machine}].{name}"):
                found[key(full)] = Plain(full, literal, sensitive=not plain)
    return found


def _expanded(values: Mapping[str, Plain]) -> tuple[dict[str, str], frozenset[str]]:
    """Every value that can be worked out; one that cannot is missed only by who asks for it."""
    variables: dict[str, str] = {}
    secrets: set[str] = set()
    for name, plain in values.items():
        try:
            inserted = expand(name, values)
        except RequestError:
            continue
        secrets |= inserted.secrets
        if _NUL not in inserted.text:
            variables[plain.name] = inserted.text
    return variables, frozenset(secrets)
