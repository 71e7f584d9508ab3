"""Lifecycles: which environments a release may enter, in what order, and which by itself.

All functions are pure and know a release's progress only as the set of environments in which it
has succeeded so far. A phase is *complete* when enough of its environments are in that set, and
*reached* when every phase before it is complete or optional.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Phase:
    """One stage of a lifecycle; ``minimum`` 0 means that all its environments must succeed.

    ``priority`` is added to that of the project. ``keep_releases`` ``None``: all are kept.
    """

    name: str
    automatic: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    minimum: int = 0
    optional: bool = False
    priority: int = 0
    keep_releases: int | None = None

    @property
    def environments(self) -> tuple[str, ...]:
        """Automatic environments first, then manual ones."""
        return self.automatic + self.manual

    def complete(self, succeeded: Collection[str]) -> bool:
        """Whether enough environments of the phase have succeeded for the next one to open."""
        done = sum(1 for name in self.environments if name in succeeded)
        return done >= (self.minimum or len(self.environments))

    @property
    def wanted(self) -> str:
        """Whose success completes it, for people: "A and B", "one of A, B", "2 of A, B, C"."""
        names = self.environments
        if not 0 < self.minimum < len(names):
            return " and ".join(names)
        return f"{'one' if self.minimum == 1 else self.minimum} of {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Ordered phases."""

    name: str
    phases: tuple[Phase, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Lifecycle:
        """The lifecycle that a stored catalog document or release snapshot describes."""
        return cls(
            document["name"],
            tuple(
                Phase(
                    name=p["name"],
                    automatic=tuple(p.get("automatic", ())),
                    manual=tuple(p.get("manual", ())),
                    minimum=p.get("minimum", 0),
                    optional=p.get("optional", False),
                    priority=p.get("priority", 0),
                    keep_releases=p.get("keep_releases"),
                )
                for p in document["phases"]
            ),
        )

    def to_document(self) -> dict[str, Any]:
        """The inverse of :meth:`from_document`; what later versions added is left out if unset."""
        return {"name": self.name, "phases": [_phase_document(p) for p in self.phases]}

    @property
    def environments(self) -> tuple[str, ...]:
        """Every environment that a phase names, in order."""
        return tuple(name for phase in self.phases for name in phase.environments)

    def filled(self, environments: Sequence[str]) -> Lifecycle:
        """Gives each phase without environments all those that no phase before it names."""
        named: set[str] = set()
        phases = []
        for phase in self.phases:
            if not phase.environments:
                phase = replace(phase, manual=tuple(e for e in environments if e not in named))
            named.update(phase.environments)
            phases.append(phase)
        return Lifecycle(self.name, tuple(phases))

    def phase_of(self, environment: str) -> Phase | None:
        """The first phase that names the environment, ``None`` when none does."""
        return next((p for p in self.phases if environment in p.environments), None)

    def reached(self, succeeded: Collection[str]) -> tuple[Phase, ...]:
        """The phases that a release with this progress may be deployed to."""
        open_phases = []
        for phase in self.phases:
            open_phases.append(phase)
            if not (phase.optional or phase.complete(succeeded)):
                break
        return tuple(open_phases)

    def obstacle(self, environment: str, succeeded: Collection[str]) -> Phase | None:
        """The phase that must be completed before the environment opens; ``None``: it is open."""
        reached = self.reached(succeeded)
        return None if any(environment in p.environments for p in reached) else reached[-1]

    def automatic_at_start(self) -> tuple[str, ...]:
        """The environments that a new release is deployed to by itself."""
        return _automatic(self.reached(()))

    def automatic_after(
        self, environment: str, succeeded_before: Collection[str]
    ) -> tuple[str, ...]:
        """The environments that open by themselves because the release succeeded in this one.

        ``succeeded_before`` is the progress without this success. A second success in the same
        environment opens nothing, which is what makes promotion happen once.
        """
        before = self.reached(succeeded_before)
        after = self.reached({*succeeded_before, environment})
        return _automatic(after[len(before) :])


def _automatic(phases: Sequence[Phase]) -> tuple[str, ...]:
    """Optional phases never deploy by themselves."""
    return tuple(name for phase in phases if not phase.optional for name in phase.automatic)


def _phase_document(phase: Phase) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": phase.name,
        "automatic": list(phase.automatic),
        "manual": list(phase.manual),
        "minimum": phase.minimum,
        "optional": phase.optional,
    }
    if phase.priority:
        document["priority"] = phase.priority
    if phase.keep_releases is not None:
        document["keep_releases"] = phase.keep_releases
    return document
