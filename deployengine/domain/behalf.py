"""On behalf: a step is carried out on another machine than the one that it is for."""

from __future__ import annotations

from collections.abc import Mapping

from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError, check_known
from deployengine.domain.insertion import Plain, insert
from deployengine.domain.project import Step


class BadPlace(RequestError):
    """Where a step is to run comes to no machine's name."""


def carrier(
    step: Step, machine: Machine, others: Mapping[str, Machine], values: Mapping[str, Plain]
) -> Machine:
    """The machine of ``others`` that carries a step out for this one, which may be itself.

    ``values`` are those of the variables for this machine. Raises :class:`BadPlace`,
    ``UnknownName``, and as ``insert``.
    """
    if step.runs_on is None:
        return machine
    said = insert(step.runs_on, values)
    name = said.text.strip()
    if said.sensitive or not name:
        why = "a sensitive value, and a machine's name is none" if said.sensitive else "nothing"
        raise BadPlace(
            f"step {step.name} runs on {step.runs_on}, which is {why}, for {machine.name}",
            None,
            "give the variable the name of a machine there",
        )
    check_known(f"machine for step {step.name}", name, others)
    return others[name]
