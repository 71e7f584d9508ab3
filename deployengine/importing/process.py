"""A deployment process: Octopus's steps with their actions as the steps of this engine."""

from __future__ import annotations

from collections.abc import Iterator

from deployengine.importing.actions import Actions
from deployengine.importing.properties import Properties
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Report, Uncarried
from deployengine.importing.roles import Roles
from deployengine.importing.scripts import placeholder
from deployengine.importing.step_names import TARGET_ROLES, identity, is_group, target_roles
from deployengine.importing.steps import Around

#: How many machines Octopus takes at once when nothing says otherwise.
_OCTOPUS_WINDOW = 10

#: When a step starts, in Octopus's words.
_AFTER, _WITH = "startafterprevious", "startwithprevious"

_ON_SERVER = "Octopus.Action.RunOnServer"

#: The keys of a step in the order in which people read them.
_ORDER = (
    *("name", "kind", "roles", "environments", "exclude_environments", "channels", "condition"),
    *("start", "required", "max_parallel", "retries", "backoff", "timeout", "instructions"),
    *("responsible", "keep_tag", "script", "steps"),
)


class Process:
    """Turns one process into the steps of a project."""

    def __init__(self, around: Around, actions: Actions, roles: Roles, report: Report) -> None:
        self._around = around
        self._actions = actions
        self._roles = roles
        self._report = report
        self._steps = Items()

    def steps(self, process: Record) -> Items:
        """The steps; never none, since a project without steps could not be released."""
        headless = True  # whether the step that later ones may run together with is left out
        for step in process.records("Steps"):
            step.place = process.place.inside(f"step {step.text('Name')}")
            actions = list(self._live(step))
            trigger = step.text("StartTrigger").casefold() or _AFTER
            if actions:
                self._start(step, trigger, self._add(step, actions), headless)
                headless = False
            elif trigger != _WITH:
                headless = True
        if not self._steps:
            what = "it has no step that could be carried over"
            self._report.tell(process.place, what, "a step that fails stands here", self._steps)
            nothing = Entry(name="Nothing to do", roles=self._roles.server())
            nothing["script"] = placeholder(what)
            self._steps.append(nothing)
        for key in ("OwnerId", "OwnerType", "ProjectId"):
            process.raw(key)
        self._report.rest(process, self._steps)
        self._steps[:] = [_ordered(entry) for entry in self._steps]
        return self._steps

    def _live(self, step: Record) -> Iterator[Record]:
        """The actions that are not disabled, each in its place."""
        actions = step.records("Actions")
        for action in actions:
            inside = step.place.inside(f"child {action.text('Name')}")
            action.place = step.place if len(actions) == 1 else inside
            if action.flag("IsDisabled"):
                self._report.tell(action.place, "it is disabled", "left out", self._steps)
            else:
                yield action
        if not actions:
            self._report.tell(step.place, "it has no action", "left out", self._steps)

    def _start(self, step: Record, trigger: str, entry: Entry, headless: bool) -> None:
        if trigger == _WITH and not headless:
            entry["start"] = "with_previous"
        elif trigger != _AFTER:
            what = "it starts together with a step that is not here"
            if trigger != _WITH:
                what = f"its start is {step.text('StartTrigger')}"
            self._report.tell(step.place, what, "it starts after the previous step", entry)

    def _add(self, step: Record, actions: list[Record]) -> Entry:
        """The first of the steps that are added."""
        properties = Properties(step)
        properties.text(TARGET_ROLES)
        roles = self._roles.names(target_roles(step))
        if is_group(step):
            found = [self._group(step, properties, actions, roles)]
        else:
            found = [self._single(step, properties, action, roles) for action in actions]
            if len(step.records("Actions")) > 1:
                what = "its actions followed each other on the Octopus server"
                self._report.tell(step.place, what, "each is a step of its own", found[0])
        if unread := properties.unread():
            what = f"there is nothing here for the settings {', '.join(unread)}"
            self._report.tell(step.place, what, "left out", found[0])
        self._report.rest(step, found[0])
        self._steps.extend(found)
        return found[0]

    def _single(self, step: Record, outer: Properties, action: Record, roles: list[str]) -> Entry:
        entry, inner = self._begun(action)
        if len(step.records("Actions")) == 1 and step.text("Name") != action.text("Name"):
            what = f"its action is called {action.text('Name')!r}"
            self._report.tell(step.place, what, "it bears that name, as its outputs do", entry)
        entry.update(self._around.limits(action))
        refused = ""
        try:
            self._around.condition(entry, (step, outer), (action, inner))
        except Uncarried as reason:
            refused = str(reason)
        if self._actions.is_manual(action) and not refused:
            self._actions.manual(action, inner, entry, self._around.changed)
            return entry
        entry["roles"] = roles or self._roles.server()
        if window := self._around.window(step, outer, entry):
            entry["max_parallel"] = window
        self._fill(action, inner, entry, refused, bool(roles))
        return entry

    def _group(
        self, step: Record, outer: Properties, actions: list[Record], roles: list[str]
    ) -> Entry:
        """Limits are the group's here: those that all children share, and what one requires."""
        entry = self._around.steps.entry(identity(step), step.place, self._report)
        entry.update(kind="rolling", roles=roles)
        entry["max_parallel"] = self._around.window(step, outer, entry) or _OCTOPUS_WINDOW
        limits = [self._around.limits(action) for action in actions]
        if True in [limit.pop("required", False) for limit in limits]:
            entry["required"] = True
        shared = limits[0] if all(limit == limits[0] for limit in limits) else {}
        entry.update(shared)
        refused = ""
        try:
            self._around.condition(entry, (step, outer))
        except Uncarried as reason:
            refused = str(reason)
        entry["steps"] = Items()
        for action, limit in zip(actions, limits, strict=True):
            alone = "a limit to environments or channels that the rest of its group has not"
            child = self._child(action, refused or (alone if limit != shared else ""))
            entry["steps"].append(_ordered(child))
        return entry

    def _child(self, action: Record, refused: str) -> Entry:
        entry, inner = self._begun(action)
        if self._actions.is_manual(action):
            refused = refused or "a manual intervention inside a rolling group"
        try:
            self._around.condition(entry, (action, inner))
        except Uncarried as reason:
            refused = refused or str(reason)
        self._fill(action, inner, entry, refused, on_machines=True)
        return entry

    def _begun(self, action: Record) -> tuple[Entry, Properties]:
        entry = self._around.steps.entry(identity(action), action.place, self._report)
        if notes := action.text("Notes").strip():
            entry.notes.insert(0, notes)
        properties = Properties(action)
        for known in (TARGET_ROLES, _ON_SERVER):
            properties.text(known)
        return entry, properties

    def _fill(
        self, action: Record, properties: Properties, entry: Entry, refused: str, on_machines: bool
    ) -> None:
        on_server = properties.flag(_ON_SERVER)
        self._around.attempts(action, properties, entry)
        if refused:
            self._actions.refuse(action, properties, entry, refused)
            return
        self._actions.script(action, properties, entry, self._around.changed)
        if on_server and on_machines:
            what = "it ran on the Octopus server on behalf of each machine"
            instead = "it runs on the machine itself; runs_on names another one"
            self._report.tell(action.place, what, instead, entry)


def _ordered(entry: Entry) -> Entry:
    ordered = Entry(**{key: entry[key] for key in _ORDER if key in entry})
    ordered.notes = entry.notes
    return ordered
