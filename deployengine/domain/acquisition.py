"""Acquisition: packages come to the machines before the first step that needs one.

It is no step of the process but made from it: a rolling group with a child for each package, in a
stage of its own before that of the first package step. So a machine gets its packages one after
the other, and so many machines at once as :data:`MAX_PARALLELISM` says. It takes nothing of the
machines that a script could want, only what keeps two from bringing the same to one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.package import Package
from deployengine.domain.plan import PACKAGE
from deployengine.domain.project import OnUnknown, Rolling, Step, StepKind

#: How the group is called.
GROUP = "Acquire packages"
#: The variable that says how many machines are brought packages at once.
MAX_PARALLELISM = "Octopus.Acquire.MaxParallelism"
AT_ONCE = 10


def acquisition_name(package: str) -> str:
    """What the step is called that brings a package."""
    return f"Acquire {package}"


def packages_of(process: Iterable[Step]) -> list[str]:
    """The packages that steps of a process need, each once, in their order."""
    needed = (step.package for step in process if step.kind is StepKind.PACKAGE)
    return list(dict.fromkeys(needed))


def with_acquisition(process: Sequence[Step]) -> tuple[Step, ...]:
    """The process with the steps that bring its packages; without packages it stays as it is."""
    at = _beginning_of_stage(process)
    return (*process[:at], *_acquisition(process), *process[at:])


def needing(acquisition: Step, process: Iterable[Step]) -> list[Step]:
    """The steps that need what this one brings."""
    return [
        step
        for step in process
        if step.kind is StepKind.PACKAGE and step.package == acquisition.package
    ]


def package_claim(package: Package, machine: str) -> Claim:
    """What whoever brings a package to a machine holds: so it comes once, whoever else wants it.

    By what is in it, since that is what lies there: the same may be published under two names.
    """
    return Claim(f"{PACKAGE}{machine}/{package.digest[:12]}", Mode.EXCLUSIVE)


def _acquisition(process: Sequence[Step]) -> Iterator[Step]:
    for package in packages_of(process):
        steps = [step for step in process if step.package == package]
        yield Step(
            acquisition_name(package),
            kind=StepKind.ACQUIRE,
            package=package,
            rolling=Rolling(GROUP, AT_ONCE),
            required=True,
            retries=max(step.retries for step in steps),
            backoff_seconds=max(step.backoff_seconds for step in steps),
            idempotent=True,
            on_unknown=OnUnknown.RERUN,
        )


def _beginning_of_stage(process: Sequence[Step]) -> int:
    """Where the stage of the first package step begins, of whose steps none is to wait for it."""
    first = next((i for i, step in enumerate(process) if step.kind is StepKind.PACKAGE), 0)
    while first > 0 and (process[first].with_previous or _together(process, first)):
        first -= 1
    return first


def _together(process: Sequence[Step], index: int) -> bool:
    """Whether a step is a further child of the group of the one before."""
    group = process[index].rolling
    return group is not None and process[index - 1].rolling == group
