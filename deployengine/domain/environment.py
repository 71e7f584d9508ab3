"""Environments and the machines in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """A deployment target: it belongs to environments and bears roles.

    ``connection`` says how the machine is reached (``kind`` and the fields of that kind);
    ``max_concurrent`` bounds how many shared holders it takes at once, ``None`` for no bound.
    """

    name: str
    environments: tuple[str, ...]
    roles: tuple[str, ...]
    connection: Mapping[str, Any] = field(default_factory=dict)
    max_concurrent: int | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Machine:
        """The machine that a stored catalog document describes."""
        return cls(
            name=document["name"],
            environments=tuple(document["environments"]),
            roles=tuple(document.get("roles", ())),
            connection=dict(document.get("connection", {})),
            max_concurrent=document.get("max_concurrent"),
        )

    def to_document(self) -> dict[str, Any]:
        """The inverse of :meth:`from_document`."""
        return {
            "name": self.name,
            "environments": list(self.environments),
            "roles": list(self.roles),
            "connection": dict(self.connection),
            "max_concurrent": self.max_concurrent,
        }

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of the host that the worker is on."""
        return bool(self.connection.get("kind", "local") == "local")

    def bears_one_of(self, roles: Iterable[str]) -> bool:
        """Whether a step for these roles runs here; a step without roles runs everywhere."""
        wanted = set(roles)
        return not wanted or not wanted.isdisjoint(self.roles)


def machines_in(machines: Iterable[Machine], environment: str) -> tuple[Machine, ...]:
    """The machines of one environment, in catalog order."""
    return tuple(m for m in machines if environment in m.environments)
