"""Selection: which part of a release's process a deployment is to carry out, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployengine.domain.project import Step


@dataclass(frozen=True, slots=True)
class Selection:
    """Steps to skip, the only machines to take (none named: all), and machines to leave out.

    ``done`` are steps, with their machines, that have been carried out before.
    """

    skip: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    done: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not (self.chosen or self.done)

    @property
    def chosen(self) -> bool:
        """Whether somebody chose some of the steps or machines."""
        return bool(self.skip or self.machines or self.exclude)

    def takes(self, machine: str) -> bool:
        """Whether a machine is part of it."""
        return machine not in self.exclude and (not self.machines or machine in self.machines)

    def skips(self, step: Step) -> str | None:
        """Why a step is skipped; ``None``: it is not. A group is skipped with all its children."""
        named = step.name in self.skip or (step.rolling and step.rolling.name in self.skip)
        return "skipped on request" if named else None

    def to_document(self) -> dict[str, Any]:
        """The stored form; what is empty is left out."""
        every = {"skip": self.skip, "machines": self.machines, "exclude": self.exclude}
        document: dict[str, Any] = {key: list(names) for key, names in every.items() if names}
        if self.done:
            document["done"] = [list(each) for each in self.done]
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Selection:
        """The inverse of :meth:`to_document`."""
        return cls(
            skip=tuple(document.get("skip", ())),
            machines=tuple(document.get("machines", ())),
            exclude=tuple(document.get("exclude", ())),
            done=tuple((step, machine) for step, machine in document.get("done", ())),
        )


#: The whole process on all machines.
WHOLE = Selection()
