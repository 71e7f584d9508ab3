"""Where a plan lets a deployment share machines because somebody said so by the bypass variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployengine.domain.admission import Mode
from deployengine.domain.plan import Plan
from deployengine.domain.project import Step


def shared_by_bypass(plan: Plan, process: Sequence[Step]) -> Mapping[str, Sequence[str]]:
    """The steps that take machines shared although they do not say what they touch, with these."""
    shared = {
        planned.name: list(
            dict.fromkeys(
                run.where.name
                for run in planned.runs
                if run.claims and run.lock_mode is Mode.SHARED and not step.touches
            )
        )
        for planned, step in zip(plan.steps, process, strict=False)
        if not planned.left_out
    }
    return {name: machines for name, machines in shared.items() if machines}
