"""A release's plan for one environment: which steps run on which machines, under which claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployengine.domain import flags
from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.insertion import expand, plain_values
from deployengine.domain.project import Step
from deployengine.domain.release import Snapshot
from deployengine.domain.variables import Context, Sealed, resolve, resolve_all

CONCURRENCY_TAG = "Octopus.Task.ConcurrencyTag"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One machine's share of a step: where it runs and what it must hold meanwhile."""

    machine: Machine
    claims: tuple[Claim, ...]

    @property
    def touched(self) -> tuple[Claim, ...]:
        """What is claimed beside the machine."""
        return self.claims[1:]

    @property
    def lock_mode(self) -> Mode:
        """The mode in which the machine itself is claimed; the machine comes first."""
        return self.claims[0].mode


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step and its runs, in catalog order of the machines; none means that it is skipped."""

    name: str
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment will do; stored with it and never recomputed."""

    tag: str
    steps: tuple[PlannedStep, ...]

    def to_document(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "tag": self.tag,
            "steps": [
                {
                    "name": step.name,
                    "runs": [
                        {
                            "machine": run.machine.to_document(),
                            "claims": [[c.resource, c.mode.value, c.limit] for c in run.claims],
                        }
                        for run in step.runs
                    ],
                }
                for step in self.steps
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_document`."""
        return cls(
            document["tag"],
            tuple(
                PlannedStep(
                    step["name"],
                    tuple(
                        PlannedRun(
                            Machine.from_document(run["machine"]),
                            tuple(Claim(name, Mode(mode), n) for name, mode, n in run["claims"]),
                        )
                        for run in step["runs"]
                    ),
                )
                for step in document["steps"]
            ),
        )


Unseal = Callable[[Sealed], str]


def machine_resource(machine: str) -> str:
    """The admission resource that stands for a machine."""
    return f"machine:{machine}"


def plan(
    snapshot: Snapshot, environment: str, phase: str, machines: Sequence[Machine], unseal: Unseal
) -> Plan:
    """Plans a deployment of the release to the environment's machines.

    Raises :class:`~deployengine.domain.flags.UnparsableFlag` when the bypass variable is no
    boolean for some step on some machine, and ``AmbiguousVariable`` when two of its values tie.
    """
    scope = Context(environment=environment, channel=snapshot.channel, phase=phase)
    tag = _text(snapshot, CONCURRENCY_TAG, scope, unseal) or f"{snapshot.project}/{environment}"
    return Plan(
        tag=tag,
        steps=tuple(
            PlannedStep(
                step.name,
                tuple(
                    PlannedRun(m, _claims(snapshot, step, m, environment, phase, unseal))
                    for m in machines
                    if m.bears_one_of(step.roles)
                ),
            )
            for step in snapshot.process
        ),
    )


def _claims(
    snapshot: Snapshot, step: Step, machine: Machine, environment: str, phase: str, unseal: Unseal
) -> tuple[Claim, ...]:
    """The machine first, then what the step touches.

    A step that names what it touches takes the machine shared, so it clashes only with those
    that touch the same and with those that take the machine whole.
    """
    shared = bool(step.touches) or _bypassed(snapshot, step, machine, environment, phase, unseal)
    own = Claim(
        machine_resource(machine.name),
        Mode.SHARED if shared else Mode.EXCLUSIVE,
        machine.max_concurrent if shared else None,
    )
    touched = (
        Claim(
            f"resource:{touch.resource}"
            if touch.everywhere
            else f"resource:{machine.name}/{touch.resource}",
            touch.mode,
        )
        for touch in step.touches
    )
    return (own, *touched)


def _bypassed(
    snapshot: Snapshot, step: Step, machine: Machine, environment: str, phase: str, unseal: Unseal
) -> bool:
    context = Context(
        environment=environment,
        machine=machine.name,
        roles=machine.roles,
        channel=snapshot.channel,
        step=step.name,
        phase=phase,
    )
    found = resolve(flags.BYPASS, snapshot.sources, context)
    if found is None:
        return False
    text = _text(snapshot, flags.BYPASS, context, unseal)
    return flags.bypass(text, found.source, sensitive=found.sensitive)


def _text(snapshot: Snapshot, name: str, context: Context, unseal: Unseal) -> str | None:
    resolved = resolve(name, snapshot.sources, context)
    if resolved is None:
        return None
    if isinstance(resolved.value, str) and "#{" not in resolved.value:
        return resolved.value  # the common case, many times a deployment
    return expand(name, plain_values(resolve_all(snapshot.sources, context), unseal)).text
