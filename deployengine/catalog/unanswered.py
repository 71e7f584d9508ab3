"""Values that must be given where nobody is there to give them: schedules, automatic phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployengine.catalog import schema
from deployengine.catalog.declared import Declared
from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.items import variable_document
from deployengine.catalog.lines import Path
from deployengine.catalog.ranges import expand
from deployengine.catalog.timetable import Schedule
from deployengine.domain.errors import Fault
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.prompts import prompts
from deployengine.domain.variables import Context, Source, Variable, key

_ADVICE = "give it a value, or leave 'required' out"


def unanswered_schedules(entries: Entries, declared: Declared) -> Iterator[Fault]:
    """Schedules whose project asks for a value that must be given, whatever release it is."""
    projects = {
        name: project
        for project in _projects(entries, declared)
        for name in expand(project.model.name)
    }
    for entry, schedule in entries.of("schedules", Schedule):
        project = projects.get(schedule.project)
        for name in project.asked_anyway(schedule.environment) if project else ():
            yield entry.fault(
                f"{schedule.project} asks for {name}, and a schedule has nobody to answer; "
                + _ADVICE,
                "project",
            )


def unanswered_phases(entries: Entries, declared: Declared) -> Iterator[Fault]:
    """Values that must be given where a phase deploys by itself; each is told once."""
    for project in _projects(entries, declared):
        told: set[str] = set()
        for place in project.automatic_places():
            for name in project.asked(place):
                if key(name) not in told:
                    told.add(key(name))
                    yield project.entry.fault(
                        f"{name} must be given for {place.environment}, which phase {place.phase} "
                        f"deploys to by itself, with nobody to answer; {_ADVICE}",
                        *project.place_of(name),
                    )


@dataclass(frozen=True, slots=True)
class _Project:
    """A project with what it includes; ``ways`` are its lifecycles by channel."""

    entry: Entry[schema.Project]
    model: schema.Project
    sources: tuple[Source, ...]
    ways: Mapping[str | None, Lifecycle]

    def asked(self, place: Context) -> Iterator[str]:
        """What must be given at a deployment to a place."""
        asked = prompts(self.sources, place)
        return (prompt.name for prompt in asked if prompt.must_be_given)

    def asked_anyway(self, environment: str) -> Iterator[str]:
        """What must be given there for each release, whatever its channel."""
        own = self.ways.get(None)
        phase = own.phase_of(environment) if own and len(self.ways) == 1 else None
        return self.asked(Context(environment=environment, phase=phase.name if phase else None))

    def automatic_places(self) -> Iterator[Context]:
        """Where its releases are deployed by themselves."""
        for channel, lifecycle in self.ways.items():
            for phase in lifecycle.phases:
                for environment in () if phase.optional else phase.automatic:
                    yield Context(environment=environment, channel=channel, phase=phase.name)

    def place_of(self, name: str) -> Path:
        """The prompt of the project's own variable, else what it includes."""
        for index, variable in enumerate(self.model.variables):
            if key(variable.name) == key(name) and variable.prompt is not None:
                return ("variables", index, "prompt")
        return ("include",)


def _projects(entries: Entries, declared: Declared) -> Iterator[_Project]:
    """All of them; what they refer to and is not there has a fault already."""
    sets = {s.name: s.variables for _, s in entries.of("variable_sets", schema.VariableSet)}
    lifecycles = {
        found.name: Lifecycle.from_document(found.model_dump()).filled(declared.environments)
        for _, found in entries.of("lifecycles", schema.Lifecycle)
    }
    for entry, model in entries.of("projects", schema.Project):
        own = model.lifecycle or declared.default_lifecycle
        named: dict[str | None, str | None] = {None: own}
        named.update((channel.name, channel.lifecycle) for channel in model.channels)
        yield _Project(
            entry,
            model,
            tuple(
                Source("", tuple(Variable.from_document(variable_document(v)) for v in variables))
                for variables in (model.variables, *(sets.get(n, ()) for n in model.include))
            ),
            {channel: lifecycles[name] for channel, name in named.items() if name in lifecycles},
        )
