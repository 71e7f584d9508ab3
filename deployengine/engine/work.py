"""What a claimed run hands to its machine: the script with its values, and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from deployengine.domain.admission import Mode
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.insertion import Plain, expand_all
from deployengine.domain.plan import SHARE
from deployengine.engine.claims import Claimed
from deployengine.engine.installation import Prepared
from deployengine.steps.contract import Lock, OnStale, Work

#: A NUL can be in no environment, so what holds one is handed on in no form.
_NUL = "\0"


def work_of(claimed: Claimed, prepared: Prepared, grace: timedelta) -> tuple[Work, frozenset[str]]:
    """The work, and the secrets that its output must be masked of."""
    run, deployment, planned = claimed.run, claimed.deployment, claimed.planned
    variables, secrets = _expanded(prepared.values)
    work = Work(
        ticket=run_id(run.id),
        fence=run.fence or 0,
        script=prepared.script.text,
        environment={
            "DEPLOYENGINE_PROJECT": deployment.project,
            "DEPLOYENGINE_RELEASE": deployment.version,
            "DEPLOYENGINE_ENVIRONMENT": deployment.environment,
            "DEPLOYENGINE_MACHINE": planned.machine.name,
            "DEPLOYENGINE_STEP": claimed.step.name,
            "DEPLOYENGINE_DEPLOYMENT": deployment_id(deployment.id),
            "DEPLOYENGINE_ATTEMPT": str(run.attempt),
            "DEPLOYENGINE_TICKET": run_id(run.id),
        },
        variables=variables,
        grace=grace,
        # A share of the task cap is nothing that a machine would know of.
        locks=tuple(
            Lock(claim.resource, claim.mode is Mode.EXCLUSIVE)
            for claim in planned.claims
            if not claim.resource.startswith(SHARE)
        ),
        on_stale=OnStale(claimed.step.on_stale.value),
        earlier=tuple(run.revoked or ()),
    )
    return work, prepared.script.secrets | secrets


def _expanded(values: Mapping[str, Plain]) -> tuple[dict[str, str], frozenset[str]]:
    """Every value that can be worked out; one that cannot is missed only by who asks for it."""
    variables: dict[str, str] = {}
    secrets: set[str] = set()
    for name, inserted in expand_all(values).items():
        secrets |= inserted.secrets
        if _NUL not in inserted.text:
            variables[values[name].name] = inserted.text
    return variables, frozenset(secrets)
