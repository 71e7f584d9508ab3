"""Projects: a process of steps, variables, and the channels that pick a lifecycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployengine.domain.admission import Mode
from deployengine.domain.variables import Variable


class OnUnknown(StrEnum):
    """What follows when nobody knows how a run ended: its script began and is gone."""

    FAIL = "fail"
    ASK = "ask"
    RERUN = "rerun"


class OnStale(StrEnum):
    """What a run does on a machine where the script of an older one still runs."""

    WAIT = "wait"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Touch:
    """A resource that a step touches, and how.

    The resource belongs to the machine (``iis`` on prod-01 is another than on prod-02) unless
    ``everywhere`` is set: then it is one and the same for all machines, as a shared database is.
    """

    resource: str
    mode: Mode = Mode.EXCLUSIVE
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a process; it runs on every machine of the environment with one of its roles.

    ``timeout_seconds`` ``None`` means no time-out. ``retries`` counts further attempts after the
    first. ``idempotent`` says that the script may run again although nobody knows how far it came;
    only then may ``on_unknown`` be ``rerun``.
    """

    name: str
    script: str
    kind: str = "script"
    roles: tuple[str, ...] = ()
    touches: tuple[Touch, ...] = ()
    timeout_seconds: float | None = None
    retries: int = 0
    idempotent: bool = False
    on_unknown: OnUnknown = OnUnknown.FAIL
    on_stale: OnStale = OnStale.WAIT

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Step:
        """The step that a stored catalog document or release snapshot describes."""
        return cls(
            name=document["name"],
            script=document["script"],
            kind=document.get("kind", "script"),
            roles=tuple(document.get("roles", ())),
            touches=tuple(
                Touch(t["resource"], Mode(t.get("mode", "exclusive")), t.get("everywhere", False))
                for t in document.get("touches", ())
            ),
            timeout_seconds=document.get("timeout_seconds"),
            retries=document.get("retries", 0),
            idempotent=document.get("idempotent", False),
            on_unknown=OnUnknown(document.get("on_unknown", "fail")),
            on_stale=OnStale(document.get("on_stale", "wait")),
        )


@dataclass(frozen=True, slots=True)
class Project:
    """What a release of this name is made of; ``channels`` maps a channel to its lifecycle."""

    name: str
    lifecycle: str
    channels: Mapping[str, str]
    include: tuple[str, ...]
    variables: tuple[Variable, ...]
    process: tuple[Step, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Project:
        """The project that a stored catalog document describes."""
        return cls(
            name=document["name"],
            lifecycle=document["lifecycle"],
            channels={c["name"]: c["lifecycle"] for c in document.get("channels", ())},
            include=tuple(document.get("include", ())),
            variables=tuple(Variable.from_document(v) for v in document.get("variables", ())),
            process=tuple(Step.from_document(s) for s in document["process"]),
        )
