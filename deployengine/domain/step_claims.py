"""What the run of a step holds: the machine that carries it out first, then what it touches."""

from __future__ import annotations

from collections.abc import Iterator

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.plan import LOOK, machine_resource
from deployengine.domain.project import Step, StepKind


def claims_of(step: Step, machine: Machine, where: Machine, *, shared: bool) -> tuple[Claim, ...]:
    """The claims of a step for ``machine`` that is carried out on ``where``.

    ``shared``: it has the machine together with others that say so. A step that names what it
    touches does, and clashes only with those that touch the same and with those that have the
    machine whole. A look at a machine holds nothing that anybody else could want. A playbook
    changes the machine that it is for, and shares the one that it runs on: it holds both. The
    folder of a package's versions is nobody else's meanwhile, however the machine is held.
    """
    touched = {claim.resource: claim for claim in _touched(step, machine, where)}
    if shared and step.kind is StepKind.PACKAGE:
        folder = f"resource:{machine.name}/{step.into}"
        touched[folder] = Claim(folder, Mode.EXCLUSIVE)
    return (*_machines(step, machine, where, shared=shared), *touched.values())


def changed(step: Step, machine: Machine, where: Machine) -> Machine:
    """The machine that the step has to itself, unless it shares it."""
    return machine if step.kind is StepKind.ANSIBLE else where


def _machines(step: Step, machine: Machine, where: Machine, *, shared: bool) -> Iterator[Claim]:
    if step.kind is StepKind.HTTP:
        yield Claim(f"{LOOK}{where.name}", Mode.SHARED)
        return
    own = changed(step, machine, where)
    if own.name != where.name:
        # One limit at most in a request, and the machine that is changed needs it more.
        limit = None if shared and own.max_concurrent else where.max_concurrent
        yield Claim(machine_resource(where.name), Mode.SHARED, limit)
    mode = Mode.SHARED if shared else Mode.EXCLUSIVE
    yield Claim(machine_resource(own.name), mode, own.max_concurrent if shared else None)


def _touched(step: Step, machine: Machine, where: Machine) -> Iterator[Claim]:
    own = changed(step, machine, where)
    for touch in step.touches:
        place = "" if touch.everywhere else f"{own.name}/"
        yield Claim(f"resource:{place}{touch.resource}", touch.mode)
