"""Where a plan lets a deployment share machines because somebody said so by the bypass variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployengine.domain.admission import Mode
from deployengine.domain.plan import Plan, PlannedStep
from deployengine.domain.project import Step
from deployengine.domain.step_claims import changed


def shared_by_bypass(plan: Plan, process: Sequence[Step]) -> Mapping[str, Sequence[str]]:
    """The steps that take machines shared although they do not say what they touch, with these."""
    shared = {
        planned.name: list(dict.fromkeys(_shared(planned, step)))
        for planned, step in zip(plan.steps, process, strict=False)
        if not planned.left_out
    }
    return {name: machines for name, machines in shared.items() if machines}


def _shared(planned: PlannedStep, step: Step) -> Iterator[str]:
    for run in () if step.touches else planned.runs:
        machine = changed(step, run.machine, run.where)
        if run.mode_on(machine) is Mode.SHARED:
            yield machine.name
