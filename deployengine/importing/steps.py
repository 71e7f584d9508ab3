"""What is common to all steps: where, when and how often they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from deployengine.domain.truth import truth
from deployengine.importing.documents import Kind
from deployengine.importing.export import Export
from deployengine.importing.insertable import readable, renamed
from deployengine.importing.lifecycles import environment_names
from deployengine.importing.names import Names
from deployengine.importing.properties import Properties
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Report, Uncarried

#: The most further attempts that a step can have here.
_MOST_RETRIES = 10

#: A condition must refer to something; this one is false wherever it is asked.
_NEVER = '#{if Octopus.Environment.Name == ""}True#{/if}'

_PLAIN_CONDITIONS = ("success", "failure", "always")
_EXPRESSIONS = (
    "Octopus.Step.ConditionVariableExpression",
    "Octopus.Action.ConditionVariableExpression",
)
_RETRIES = "Octopus.Action.AutoRetry.MaximumCount"
_PAUSE = "Octopus.Action.AutoRetry.MinimumBackoff"
_MINUTES = "Octopus.Action.ExecutionTimeout.Minutes"
_WINDOW = "Octopus.Action.MaxParallelism"


@dataclass(frozen=True)
class Around:
    """What the steps of a process refer to, and how they themselves are called."""

    export: Export
    environments: Names
    channels: Names
    steps: Names
    report: Report

    @cached_property
    def changed(self) -> Mapping[str, str]:
        """The steps that bear another name here, by the name that Octopus had."""
        return self.steps.changed()

    def limits(self, action: Record) -> Entry:
        """The environments and channels of an action, and whether nobody may skip it."""
        found = Entry()
        for key, source in (
            ("environments", "Environments"),
            ("exclude_environments", "ExcludedEnvironments"),
        ):
            if names := environment_names(self.export, self.environments, action, source):
                found[key] = names
        if channels := self._channels(action):
            found["channels"] = channels
        if action.flag("IsRequired"):
            found["required"] = True
        return found

    def condition(self, entry: Entry, *owners: tuple[Record, Properties]) -> None:
        """Adds the run condition, where it is not ``success``.

        Of a step and its only action one may say something. Raises :class:`Uncarried` where both
        do, or for an expression that this engine cannot read: a guess whether a step is to run
        would be worse than to stop.
        """
        said = [condition for each in owners if (condition := self._condition(*each)) != "success"]
        if len(said) > 1:
            raise Uncarried("two run conditions, of the step and of its action")
        if said:
            entry["condition"] = said[0]
        if said == [_NEVER]:
            what = "its run condition is never true"
            self.report.tell(owners[0][0].place, what, "it never runs", entry)

    def attempts(self, action: Record, properties: Properties, entry: Entry) -> None:
        """Adds retries, the pause before them, and the time-out."""
        retries = self._number(action, properties, _RETRIES, entry) or 0
        pause = self._number(action, properties, _PAUSE, entry)
        if retries > _MOST_RETRIES:
            what = f"it has {retries} retries"
            self.report.tell(action.place, what, f"it has {_MOST_RETRIES}, the most here", entry)
        if retries:
            entry["retries"] = min(retries, _MOST_RETRIES)
            if pause:
                entry["backoff"] = f"{pause}s"
        if minutes := self._number(action, properties, _MINUTES, entry):
            entry["timeout"] = f"{minutes}m"

    def window(self, step: Record, properties: Properties, entry: Entry) -> int | None:
        """How many machines the step may run on at once, when that is said."""
        return self._number(step, properties, _WINDOW, entry)

    def _channels(self, action: Record) -> list[str]:
        ids = dict.fromkeys(action.texts("Channels"))
        for id_ in ids:
            self.export.require(id_, Kind.CHANNEL, action.place, "Channels")
        return [name for id_ in ids if (name := self.channels.find(id_))]

    def _condition(self, owner: Record, properties: Properties) -> str:
        said = owner.text("Condition").strip().casefold() or "success"
        expression = "".join(properties.text(name).strip() for name in _EXPRESSIONS)
        if said in _PLAIN_CONDITIONS:
            return said
        if said != "variable":
            raise Uncarried(f"the run condition {owner.text('Condition')}")
        if "#{" not in expression:
            return "always" if truth(expression) else _NEVER
        try:
            return readable(renamed(expression, self.changed))
        except Uncarried as reason:
            raise Uncarried(f"a run condition in which {reason}") from reason

    def _number(self, owner: Record, properties: Properties, name: str, entry: Entry) -> int | None:
        number = properties.number(name)
        if number is None and (text := properties.text(name).strip()):
            self.report.tell(owner.place, f"{name} is {text!r}, no number", "left out", entry)
        return number
