"""Looking variables up: which value wins in a place, and why; what it is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError, check_known
from deployengine.domain.explanation import Candidate, explain, paths
from deployengine.domain.insertion import Insertion, Plain, expand, plain_values
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.planning import Unseal
from deployengine.domain.project import Project
from deployengine.domain.variables import (
    MASK,
    Context,
    Resolved,
    Source,
    Variable,
    key,
    resolve_all,
    system_source,
    system_variables,
)
from deployengine.persistence import Transaction


@dataclass(frozen=True, slots=True)
class Place:
    """Where variables are asked for: names of the catalog; what is ``None`` matches no scope."""

    environment: str | None = None
    machine: str | None = None
    step: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class BuiltFrom:
    """A variable that a value leads to through these names, as people may see it.

    ``shown`` and ``source`` are ``None`` for one that has no value here.
    """

    path: tuple[str, ...]
    shown: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class VariableView:
    """A variable in a place, with all its values.

    ``winner`` is ``None`` where none applies. ``insertion`` is what the winner comes to with its
    references inserted, or its own text where one of them cannot be worked out; ``problem`` says
    which, and shows no secret.
    """

    name: str
    candidates: tuple[Candidate, ...]
    winner: Resolved | None = None
    insertion: Insertion | None = None
    problem: str | None = None
    built_from: tuple[BuiltFrom, ...] = ()

    @property
    def sensitive(self) -> bool:
        """Whether the value is marked so or made from one that is."""
        marked = self.winner is not None and self.winner.sensitive
        return marked or (self.insertion is not None and self.insertion.sensitive)

    @property
    def shown(self) -> str | None:
        """The value for people; a sensitive one as ********."""
        if self.insertion is None:
            return None
        return MASK if self.sensitive else self.insertion.text


def look_up(tx: Transaction, unseal: Unseal, project: str, place: Place) -> list[VariableView]:
    """Each variable that the project, its sets or the engine have a value of, by name.

    Raises ``UnknownName`` for each part of the place that does not exist, and
    :class:`~deployengine.domain.variables.AmbiguousVariable` where two values tie.
    """
    found = _project(tx, project)
    context = _context(tx, found, place)
    sources = _sources(tx, found, place, context)
    winners = resolve_all(sources, context)
    values = plain_values(winners, unseal)
    names = {key(v.name): v.name.strip() for source in sources for v in source.variables}
    return [
        _view(name, explain(name, sources, context), winners, values)
        for name in sorted(names.values(), key=str.casefold)
    ]


def _view(
    name: str,
    candidates: tuple[Candidate, ...],
    winners: Mapping[str, Resolved],
    values: Mapping[str, Plain],
) -> VariableView:
    winner = winners.get(key(name))
    if winner is None:
        return VariableView(name, candidates)
    insertion, problem = _inserted(name, values)
    built_from = tuple(_built_from(path, winners, values) for path in paths(name, values))
    return VariableView(winner.name, candidates, winner, insertion, problem, built_from)


def _built_from(
    path: tuple[str, ...], winners: Mapping[str, Resolved], values: Mapping[str, Plain]
) -> BuiltFrom:
    winner = winners.get(key(path[-1]))
    if winner is None:
        return BuiltFrom(path, None, None)
    insertion, _ = _inserted(path[-1], values)
    shown = MASK if winner.sensitive or insertion.sensitive else insertion.text
    return BuiltFrom(path, shown, winner.source)


def _inserted(name: str, values: Mapping[str, Plain]) -> tuple[Insertion, str | None]:
    try:
        return expand(name, values), None
    except RequestError as error:
        plain = values[key(name)]
        return Insertion(plain.text, plain.sensitive), str(error)


def _context(tx: Transaction, project: Project, place: Place) -> Context:
    target = _machine(tx, place.machine)
    environment = place.environment
    if environment is not None:
        tx.catalog.check("environment", environment)
    if target and environment and environment not in target.environments:
        raise RequestError(
            f"machine {target.name} is not in {environment}",
            None,
            f"it is in {' and '.join(target.environments)}",
        )
    if place.step is not None:
        steps = [step.name for step in project.process]
        check_known(f"step of {project.name}", place.step, steps)
    if place.channel is not None:
        check_known(f"channel of {project.name}", place.channel, project.channels)
    phase = _lifecycle(tx, project, place.channel).phase_of(environment) if environment else None
    return Context(
        environment=environment,
        machine=place.machine,
        roles=target.roles if target else (),
        channel=place.channel,
        step=place.step,
        phase=phase.name if phase else None,
    )


def _sources(tx: Transaction, project: Project, place: Place, context: Context) -> list[Source]:
    system = system_variables(
        project=project.name,
        environment=place.environment,
        machine=place.machine,
        roles=context.roles or None,
        step=place.step,
        channel=place.channel,
    )
    sets = tx.catalog.find("variable_set", project.include)
    return [
        system_source(system),
        Source(f"project {project.name}", project.variables),
        *(_set_source(name, sets[name]["variables"]) for name in project.include),
    ]


def _set_source(name: str, variables: Sequence[dict[str, object]]) -> Source:
    return Source(f"variable set {name}", tuple(Variable.from_document(v) for v in variables))


def _project(tx: Transaction, name: str) -> Project:
    return Project.from_document(tx.catalog.get("project", name))


def _lifecycle(tx: Transaction, project: Project, channel: str | None) -> Lifecycle:
    """The lifecycle of the channel, or the project's own."""
    name = project.channels.get(channel or "", project.lifecycle)
    document = tx.catalog.find("lifecycle", [name])[name]
    return Lifecycle.from_document(document).filled(tx.catalog.names("environment"))


def _machine(tx: Transaction, name: str | None) -> Machine | None:
    return None if name is None else Machine.from_document(tx.catalog.get("machine", name))
