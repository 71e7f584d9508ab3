"""A release's plan for one environment: which steps run on which machines, under which claims.

A plan is stored with its deployment and never computed again. Its steps come in *stages*, one after
the other; a stage has one or more *tracks*, which begin together. A track is one step, or the
children of a rolling group, and goes through its machines at a *pace*: at most so many of them at
once (:mod:`~deployengine.domain.turns`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.turns import AT_ONCE, Pace

#: A step on a machine, by their names; a manual step is on none, whose name is empty.
Part = tuple[str, str]
#: What the resources begin with that stand for machines.
MACHINE = "machine:"
#: What the resources begin with that bound how many scripts run at once.
SHARE = "share:"
#: What the resources begin with that stand for a package on its way to a machine.
PACKAGE = "package:"
#: What the resources begin with that stand for looks at a machine, which nobody has to himself.
LOOK = "look:"
#: The lock mode of a run that holds nothing of its machine: another one carries it out, or it
#: brings a package there, or looks at it.
ELSEWHERE = "elsewhere"
#: Where manual steps are: on no machine.
NOWHERE = Machine("", (), ())


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One machine's share of a step: where it runs and what it must hold meanwhile.

    ``runs_on`` is another machine that carries it out on behalf of this one, which it does not
    claim then.
    """

    machine: Machine
    claims: tuple[Claim, ...]
    runs_on: Machine | None = None

    @property
    def where(self) -> Machine:
        """The machine that its script runs on, and on which its ticket lies."""
        return self.runs_on or self.machine

    @property
    def touched(self) -> tuple[Claim, ...]:
        """What is claimed beside the machine that it is for."""
        return self.claims[1:] if self._claims_machine else self.claims

    def mode_on(self, machine: Machine) -> Mode | None:
        """The mode in which it claims a machine; ``None``: it does not."""
        wanted = machine_resource(machine.name)
        return next((claim.mode for claim in self.claims if claim.resource == wanted), None)

    @property
    def lock_mode(self) -> Mode:
        """The mode in which the machine that it runs on is claimed; that machine comes first.

        What claims none has no use for it.
        """
        return self.claims[0].mode if self.claims else Mode.SHARED

    @property
    def own_lock(self) -> str:
        """How the machine that it is for is held: the mode, or :data:`ELSEWHERE`."""
        return self.lock_mode.value if self._claims_machine or not self.claims else ELSEWHERE

    @property
    def _claims_machine(self) -> bool:
        own = machine_resource(self.machine.name)
        return bool(self.claims) and self.claims[0].resource == own


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step and its runs, in catalog order of the machines; none means that it is skipped.

    ``left_out`` says why it is skipped although there are machines. ``max_failures``: so many of
    a rolling group's machines may fail and be left out; ``None``: any number.
    """

    name: str
    runs: tuple[PlannedRun, ...]
    stage: int
    track: int
    pace: Pace = AT_ONCE
    left_out: str | None = None
    max_failures: int | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """Steps that each machine goes through one after the other, by their positions in the plan."""

    positions: tuple[int, ...]
    pace: Pace
    max_failures: int | None = None

    @property
    def compound(self) -> bool:
        """Whether some of its runs wait for others of its runs."""
        return self.pace.bounds or len(self.positions) > 1


@dataclass(frozen=True, slots=True)
class Stage:
    """Tracks that begin together; the next stage begins when all of them are done."""

    tracks: tuple[Track, ...]

    @property
    def first(self) -> int:
        """The position of its first step, by which it is called."""
        return self.positions[0]

    @property
    def positions(self) -> tuple[int, ...]:
        """Those of all its steps."""
        return tuple(position for track in self.tracks for position in track.positions)

    @property
    def compound(self) -> bool:
        """Whether some of its runs depend on others of its runs."""
        return len(self.tracks) > 1 or self.tracks[0].compound

    def track_of(self, position: int) -> Track:
        """The track that a step is in."""
        return next(track for track in self.tracks if position in track.positions)


@dataclass(frozen=True)
class Plan:
    """What a deployment will do; stored with it and never recomputed.

    ``holds`` is what it holds as a whole, from its first step to its last, beside its ``tag``.
    """

    tag: str
    steps: tuple[PlannedStep, ...]
    holds: tuple[Claim, ...] = ()

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return tuple(
            Stage(tuple(map(_track, _grouped(stage, "track"))))
            for stage in _grouped(list(enumerate(self.steps)), "stage")
        )

    @property
    def parts(self) -> frozenset[Part]:
        """What it is to carry out, unless conditions keep it from that."""
        steps = (step for step in self.steps if not step.left_out)
        return frozenset((step.name, run.machine.name) for step in steps for run in step.runs)

    def stage_of(self, position: int) -> Stage:
        """The stage that a step is in."""
        return next(stage for stage in self.stages if position in stage.positions)

    def to_document(self) -> dict[str, Any]:
        """The stored form."""
        document: dict[str, Any] = {
            "tag": self.tag,
            "steps": [_step_document(step) for step in self.steps],
        }
        if self.holds:
            document["holds"] = _claims_document(self.holds)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_document`."""
        return cls(
            document["tag"],
            tuple(_step(position, step) for position, step in enumerate(document["steps"])),
            _claims(document.get("holds", ())),
        )


def machine_resource(machine: str) -> str:
    """The admission resource that stands for a machine."""
    return f"{MACHINE}{machine}"


def _grouped(steps: list[tuple[int, PlannedStep]], by: str) -> list[list[tuple[int, PlannedStep]]]:
    return [list(group) for _, group in groupby(steps, key=lambda each: getattr(each[1], by))]


def _track(steps: list[tuple[int, PlannedStep]]) -> Track:
    first = steps[0][1]
    return Track(tuple(position for position, _ in steps), first.pace, first.max_failures)


def _step_document(step: PlannedStep) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": step.name,
        "stage": step.stage,
        "track": step.track,
        "runs": [_run_document(run) for run in step.runs],
    }
    optional = {
        "window": step.pace.window,
        "ramp": list(step.pace.ramp) or None,
        "left_out": step.left_out,
        "max_failures": step.max_failures,
    }
    return document | {key: value for key, value in optional.items() if value is not None}


def _run_document(run: PlannedRun) -> dict[str, Any]:
    document: dict[str, Any] = {
        "machine": run.machine.to_document(),
        "claims": _claims_document(run.claims),
    }
    if run.runs_on:
        document["runs_on"] = run.runs_on.to_document()
    return document


def _step(position: int, document: Mapping[str, Any]) -> PlannedStep:
    return PlannedStep(
        document["name"],
        tuple(map(_run, document["runs"])),
        # Plans that were stored before there were stages have one step in each.
        document.get("stage", position),
        document.get("track", position),
        Pace(document.get("window"), tuple(document.get("ramp", ()))),
        document.get("left_out"),
        document.get("max_failures"),
    )


def _run(document: Mapping[str, Any]) -> PlannedRun:
    elsewhere = document.get("runs_on")
    return PlannedRun(
        Machine.from_document(document["machine"]),
        _claims(document["claims"]),
        Machine.from_document(elsewhere) if elsewhere else None,
    )


def _claims_document(claims: tuple[Claim, ...]) -> list[list[Any]]:
    return [[claim.resource, claim.mode.value, claim.limit] for claim in claims]


def _claims(documents: Any) -> tuple[Claim, ...]:
    return tuple(Claim(resource, Mode(mode), limit) for resource, mode, limit in documents)
