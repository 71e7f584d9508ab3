"""Holds: what a deployment keeps from its first step to its last, with ``mutex: deployment``."""

from __future__ import annotations

from collections.abc import Sequence

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.plan import LOOK, PACKAGE, SHARE, PlannedStep


def held(steps: Sequence[PlannedStep]) -> tuple[Claim, ...]:
    """Everything that a run of any step claims, exclusively if one of them wants it so.

    All of it, or a run would have to wait for what its step touches while its deployment holds the
    machine. What bounds how many share it is held exclusively, as a request has one bound at most.
    A share of the task cap is no thing that a deployment could keep, a package on its way to a
    machine is nobody's for longer, and a look at one is anybody's.
    """
    found: dict[str, Claim] = {}
    for step in steps:
        for run in () if step.left_out else step.runs:
            for claim in run.claims:
                if claim.resource.startswith((SHARE, PACKAGE, LOOK)):
                    continue
                before = found.get(claim.resource)
                exclusive = claim.limit is not None or claim.mode is Mode.EXCLUSIVE
                if before is None or exclusive:
                    mode = Mode.EXCLUSIVE if exclusive else Mode.SHARED
                    found[claim.resource] = Claim(claim.resource, mode)
    return tuple(found.values())
