"""How the steps of a process are called here, and which of them an id of Octopus means."""

from __future__ import annotations

from deployengine.importing.names import Names
from deployengine.importing.properties import Properties
from deployengine.importing.record import Record

TARGET_ROLES = "Octopus.Action.TargetRoles"


class StepNames:
    """Names of the steps that are carried over.

    Octopus has steps with actions in them, and ids of both; outputs go by the names of actions.
    Here an action is a step, and a step with several actions on machines is a group of them, whose
    id means its children.
    """

    def __init__(self, process: Record) -> None:
        self.names = Names()
        self._meant: dict[str, list[str]] = {}
        steps = process.records("Steps")
        for step in steps:
            for action in step.records("Actions"):
                if not action.flag("IsDisabled"):
                    name = self.names.give(
                        identity(action), action.text("Name") or step.text("Name")
                    )
                    self._mean(action, name)
                    self._mean(step, name)
        for step in steps:
            if is_group(step) and self.meant_by(step.text("Id")):
                self.names.give(identity(step), step.text("Name"))

    def meant_by(self, id_: str) -> list[str]:
        """The steps that this id means; none when they are not carried over."""
        return self._meant.get(id_.casefold(), [])

    def _mean(self, record: Record, name: str) -> None:
        meant = self._meant.setdefault(record.text("Id").casefold(), [])
        if name not in meant:
            meant.append(name)


def is_group(step: Record) -> bool:
    """Whether its actions follow each other machine by machine."""
    return len(step.records("Actions")) > 1 and bool(target_roles(step))


def target_roles(step: Record) -> list[str]:
    """The roles that a step is for, as Octopus calls them; older exports say it of the action."""
    said = Properties(step).text(TARGET_ROLES)
    for action in step.records("Actions"):
        said = said or Properties(action).text(TARGET_ROLES)
    return [role.strip() for role in said.split(",") if role.strip()]


def identity(record: Record) -> str:
    """What tells a step or an action from all others of its process."""
    return record.text("Id") or record.text("Name")
