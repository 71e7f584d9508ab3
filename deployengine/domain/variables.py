"""Variables: scoped values, and which of them wins in a given place.

A value may name kinds of scope (environments, machines, roles and so on). It *applies* when, for
each kind that it names, one of its alternatives is there. Of those that apply the most specific
wins, as among CSS rules: the kinds stand in the order of :data:`KINDS`, and the value that names
the higher kind wins, whatever lower kinds the other one names. So a machine beats role plus
environment, and role plus environment beats a role alone. How many alternatives a kind lists
counts for nothing. When two are still even, the source that stands first wins: the project, then
its variable sets in the order of inclusion. Two even values of one source are an error, because
any choice between them would be a guess.

System variables (:data:`SYSTEM_NAMES`) come from :func:`system_source` only. A value of such a
name in any other source is ignored, so where that source stands among the others means nothing.
The behaviour switches (``OctopusBypassDeploymentMutex``, ``Octopus.Task.ConcurrencyTag``,
``Octopus.Action.MaxParallelism``) are no system variables but ordinary ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployengine.domain.errors import RequestError
from deployengine.domain.variable_names import SYSTEM_NAMES as SYSTEM_NAMES
from deployengine.domain.variable_names import is_system as is_system
from deployengine.domain.variable_names import key as key
from deployengine.domain.variable_names import system_variables as system_variables

#: The kinds of scope, the most specific first.
KINDS = ("steps", "machines", "roles", "tenants", "environments", "channels", "phases")

#: What stands in place of a sensitive value wherever something is shown.
MASK = "********"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value; ``mac`` tells whether two hold the same secret. Its repr shows none.

    ``key_id`` names the master key that opens it; values from before there were several have none.
    """

    cipher: str = field(repr=False)
    mac: str = field(repr=False)
    key_id: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, str]) -> Sealed:
        """The sealed value that a stored document holds."""
        return cls(document["cipher"], document["mac"], document.get("key_id"))

    def to_document(self) -> dict[str, str]:
        """The inverse of :meth:`from_document`."""
        document = {"cipher": self.cipher, "mac": self.mac}
        return document if self.key_id is None else {**document, "key_id": self.key_id}


@dataclass(frozen=True, slots=True)
class Context:
    """The place in which a variable is asked for; what is not known there matches no scope."""

    environment: str | None = None
    machine: str | None = None
    roles: Sequence[str] = ()
    channel: str | None = None
    step: str | None = None
    tenant: str | None = None
    phase: str | None = None

    def offers(self, kind: str) -> Sequence[str]:
        """What the place has to match a scope of this kind with."""
        if kind == "roles":
            return self.roles
        one: str | None = getattr(self, kind.removesuffix("s"))
        return () if one is None else (one,)

    def __str__(self) -> str:
        said = [(k.removesuffix("s"), self.offers(k)) for k in KINDS]
        return ", ".join(f"{kind} {'+'.join(names)}" for kind, names in said if names)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a value applies: alternatives within a kind, all of the kinds that name any."""

    environments: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Sequence[str]]) -> Scope:
        """The scope that a document describes.

        Raises :class:`TypeError` for an unknown kind: to skip it would widen the scope.
        """
        return cls(**{kind: tuple(names) for kind, names in document.items()})

    def to_document(self) -> dict[str, list[str]]:
        """The inverse of :meth:`from_document`; kinds that name nothing are left out."""
        return {kind: list(self.of(kind)) for kind in KINDS if self.of(kind)}

    def of(self, kind: str) -> tuple[str, ...]:
        """The alternatives of one kind; none when the value is not scoped by it."""
        names: tuple[str, ...] = getattr(self, kind)
        return names

    def applies(self, context: Context) -> bool:
        """Whether each kind that is named has an alternative that the context offers."""
        return not self.unmatched(context)

    def unmatched(self, context: Context) -> tuple[str, ...]:
        """The kinds that are named and have no alternative that the context offers."""
        return tuple(
            kind
            for kind in KINDS
            if self.of(kind) and set(self.of(kind)).isdisjoint(context.offers(kind))
        )

    @property
    def specificity(self) -> tuple[bool, ...]:
        """Greater is more specific; see the module's rule."""
        return tuple(bool(self.of(kind)) for kind in KINDS)

    def __str__(self) -> str:
        said = [(k.removesuffix("s"), self.of(k)) for k in KINDS]
        named = [f"{kind} {' or '.join(names)}" for kind, names in said if names]
        return " and ".join(named) or "unscoped"


@dataclass(frozen=True, slots=True)
class Variable:
    """One value of a variable and where it applies; a name may have many."""

    name: str
    value: str | Sealed = field(repr=False)
    scope: Scope = Scope()
    sensitive: bool = False
    #: Whoever deploys is asked for the value; see :mod:`deployengine.domain.prompts`.
    prompt: Mapping[str, Any] | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Variable:
        """The variable that a stored catalog document or release snapshot describes."""
        value = document["value"]
        return cls(
            name=document["name"],
            value=value if isinstance(value, str) else Sealed.from_document(value),
            scope=Scope.from_document(document.get("scope") or {}),
            sensitive=document.get("sensitive", False),
            prompt=document.get("prompt"),
        )

    def to_document(self) -> dict[str, Any]:
        """The inverse of :meth:`from_document`."""
        value = self.value.to_document() if isinstance(self.value, Sealed) else self.value
        document = {
            "name": self.name,
            "value": value,
            "sensitive": self.sensitive,
            "scope": self.scope.to_document(),
        }
        return document if self.prompt is None else {**document, "prompt": dict(self.prompt)}

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown: it is marked so, or sealed."""
        return self.sensitive or (isinstance(self.value, Sealed) and self.prompt is None)

    @property
    def shown(self) -> str:
        """The value as people may see it."""
        return MASK if self.secret else f'"{self.value}"'


@dataclass(frozen=True, slots=True)
class Source:
    """Where variables stand: a project or a variable set; ``label`` is how people call it."""

    label: str
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The value that wins in a context; ``source`` is a label, ``why`` a phrase for people."""

    name: str
    value: str | Sealed = field(repr=False)
    source: str
    scope: Scope
    sensitive: bool
    why: str


class AmbiguousVariable(RequestError):
    """Two values of one source apply equally well, so neither may be chosen.

    All parts are words for people; ``first`` and ``second`` show no secret.
    """

    def __init__(self, name: str, first: str, second: str, source: str, place: str) -> None:
        here = f" ({place})" if place else ""
        super().__init__(
            f"variable {name} has two values that apply equally here{here}: {first}; and {second}",
            source,
            "scope one of them more narrowly, or remove it",
        )
        self.name = name
        self.source = source
        self.args = (name, first, second, source, place)


def resolve(name: str, sources: Sequence[Source], context: Context) -> Resolved | None:
    """The value that wins in the context, ``None`` when none applies.

    ``sources``: the project, then its sets in the order of inclusion. Raises
    :class:`AmbiguousVariable` when two values of one source are even.
    """
    wanted = key(name)
    return _winner([(s, v) for s, v in _usable(sources) if key(v.name) == wanted], context)


def resolve_all(sources: Sequence[Source], context: Context) -> dict[str, Resolved]:
    """The winning value of every variable that has one in the context, by :func:`key`.

    Raises :class:`AmbiguousVariable` as :func:`resolve` does.
    """
    values: dict[str, list[tuple[Source, Variable]]] = {}
    for source, variable in _usable(sources):
        values.setdefault(key(variable.name), []).append((source, variable))
    winners = ((name, _winner(found, context)) for name, found in values.items())
    return {name: winner for name, winner in winners if winner is not None}


def _usable(sources: Sequence[Source]) -> Iterable[tuple[Source, Variable]]:
    return (
        (source, variable)
        for source in sources
        for variable in source.variables
        if source.label == SYSTEM_LABEL or not is_system(variable.name)
    )


def _winner(values: Sequence[tuple[Source, Variable]], context: Context) -> Resolved | None:
    applying = [(s, v) for s, v in values if v.scope.applies(context)]
    if not applying:
        return None
    best = max(v.scope.specificity for _, v in applying)
    even = [(s, v) for s, v in applying if v.scope.specificity == best]
    source, variable = even[0]
    rivals = [v for s, v in even[1:] if s is source]
    if rivals:
        raise AmbiguousVariable(
            variable.name.strip(),
            f"{variable.shown}, {variable.scope}",
            f"{rivals[0].shown}, {rivals[0].scope}",
            source.label,
            str(context),
        )
    return Resolved(
        name=variable.name.strip(),
        value=variable.value,
        source=source.label,
        scope=variable.scope,
        sensitive=variable.secret,
        why=_why(variable.scope, source, len(applying), [s for s, _ in even[1:]]),
    )


def _why(scope: Scope, source: Source, applying: int, outranked: Sequence[Source]) -> str:
    said = str(scope)
    if outranked:
        return f"{said}; as specific as in {outranked[0].label}, but {source.label} comes first"
    if applying > 1:
        return f"{said}; the most specific of {applying} values that apply"
    return f"{said}; the only value that applies"


#: How the source of the system variables is called.
SYSTEM_LABEL = "system"


def system_source(values: Mapping[str, str]) -> Source:
    """The source that carries :func:`system_variables` among the others of :func:`resolve`."""
    return Source(SYSTEM_LABEL, tuple(Variable(name, value) for name, value in values.items()))
