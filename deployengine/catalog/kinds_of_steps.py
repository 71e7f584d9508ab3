"""What each kind of step needs and bears, and which steps of a process do not keep to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deployengine.catalog.entries import Entry
from deployengine.catalog.fields import written
from deployengine.catalog.lines import Path
from deployengine.catalog.packages import PackageUse, unsound_packages
from deployengine.catalog.process import (
    OF_GROUPS,
    ON_MACHINES,
    GroupStep,
    Script,
    Step,
    each_script,
    each_step,
)
from deployengine.catalog.schema import Project
from deployengine.catalog.tools import USES, unsound_tool
from deployengine.domain.errors import Fault, did_you_mean

_RERUN = (
    "on_unknown: rerun runs the script again although nobody knows how far it came; "
    "say idempotent: true if it bears that, or choose fail or ask"
)

_STOPS = (
    "with on_failure: stop the first failure is one too many; say on_failure: exclude for so many "
    "machines to be left out"
)


def _called(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeh' else 'a'} {kind} step"


#: How people call each kind, and the key without which it makes no sense.
_KINDS = {
    **{kind: (_called(kind), needed) for kind, needed in ON_MACHINES.items()},
    "manual": ("a manual step", "instructions"),
    "rolling": ("a rolling group", "steps"),
}
_ANY = {
    "name", "kind", "condition", "environments", "exclude_environments", "channels", "start",
    "required",
}  # fmt: skip
_ON_MACHINES = {*written(Script), "roles", "max_parallel"} - {"script"}
_OWN = {
    "script": {*_ON_MACHINES, "script"},
    "package": {*_ON_MACHINES, *written(PackageUse)} - {"runs_on"},
    **{kind: {*_ON_MACHINES, *written(use)} for kind, use in USES.items()},
    "manual": {"instructions", "responsible", "keep_tag"},
    "rolling": {"roles", "max_parallel", *OF_GROUPS, "steps"},
}


def misfits(entry: Entry[Any], project: Project) -> Iterator[Fault]:
    """Steps that lack what their kind needs, have what it knows not, or contradict themselves."""
    for script, place in each_script(project.process):
        yield from _script(entry, script, place)
    for step, place in each_step(project.process):
        if not entry.refused(step, *place, "kind"):
            yield from _kind(entry, step, place)
            yield from unsound_tool(entry, step, place)
        if isinstance(step, Step):
            yield from _places(entry, step, place)
            yield from _failures(entry, step, place)
    yield from unsound_packages(entry, list(each_step(project.process)))
    if project.process and project.process[0].start == "with_previous":
        message = "the first step has none before it to start with"
        yield entry.fault(message, "process", 0, "start")


def _kind(entry: Entry[Any], step: Step | GroupStep, place: Path) -> Iterator[Fault]:
    called, needed = _KINDS[step.kind]
    if not entry.says(*place, needed):
        yield entry.fault(f"{needed!r} is missing, which {called} needs", *place)
    fitting = _ANY | _OWN[step.kind]
    for key in (key for key in written(type(step)) if key not in fitting):
        if not entry.says(*place, key):
            continue
        inside = step.kind == "rolling" and key in written(GroupStep)
        meant = did_you_mean(f"{key}s" if f"{key}s" in fitting else None)
        advice = "put it at the steps in it" if inside else meant
        said = f"{called} has no {key!r}"
        yield entry.fault(f"{said}; {advice}" if advice else said, *place, key)


def _script(entry: Entry[Any], step: Script, place: Path) -> Iterator[Fault]:
    if step.on_unknown == "rerun" and not step.idempotent:
        yield entry.fault(_RERUN, *place, "on_unknown")
    retried = step.retries or entry.refused(step, *place, "retries")
    if step.backoff is not None and not retried:
        message = "backoff is the pause before a retry; say how many retries there are"
        yield entry.fault(message, *place, "backoff")


def _failures(entry: Entry[Any], step: Step, place: Path) -> Iterator[Fault]:
    excludes = step.on_failure == "exclude" or entry.refused(step, *place, "on_failure")
    if step.max_failures is not None and not excludes:
        yield entry.fault(_STOPS, *place, "max_failures")


def _places(entry: Entry[Any], step: Step, place: Path) -> Iterator[Fault]:
    for index, name in enumerate(step.exclude_environments):
        if name in step.environments:
            message = f"{name!r} is also one of its environments"
            yield entry.fault(message, *place, "exclude_environments", index)
