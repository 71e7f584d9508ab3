"""What a single action does: a script, a question to people, or nothing that is known here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from deployengine.importing.documents import Kind
from deployengine.importing.export import Export, record
from deployengine.importing.insertable import literal, readable, renamed
from deployengine.importing.properties import Properties
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Report, Uncarried
from deployengine.importing.scripts import Script, placeholder, script

_BODY = "Octopus.Action.Script.ScriptBody"
_FAILS = "a step that fails stands in its place"

#: Kinds of Octopus for which there is something near; only people can put it in their place.
_NEAR = {
    "octopus.dockerrun": "kind: docker-compose",
    "octopus.dockerstop": "kind: docker-compose",
    "octopus.dockernetwork": "kind: docker-compose",
    "octopus.healthcheck": "kind: http, or machine check, which needs no step",
}


class Actions:
    """Turns actions into the part of a step that says what it does.

    ``scripts`` are the texts of script files by name, for exports that keep them apart.
    """

    def __init__(self, export: Export, scripts: Mapping[str, str], report: Report) -> None:
        self._export = export
        self._scripts = scripts
        self._report = report

    def is_manual(self, action: Record) -> bool:
        """Whether the action asks people."""
        return action.text("ActionType").casefold() == "octopus.manual"

    def script(
        self, action: Record, properties: Properties, entry: Entry, changed: Mapping[str, str]
    ) -> None:
        """Adds the script of the action, or one that fails where that cannot be carried over.

        ``changed`` are the steps that bear another name here.
        """
        body = self._body(action, properties)
        try:
            made = self._script(action, properties, renamed(body, changed))
        except Uncarried as reason:
            self.refuse(action, properties, entry, str(reason))
            return
        entry["script"] = made.text
        if made.told:
            what = ", ".join(made.told)
            self._report.tell(action.place, what, "its text is otherwise as it was", entry)
        self._rest(action, properties, entry)

    def refuse(self, action: Record, properties: Properties, entry: Entry, what: str) -> None:
        """Puts a script that fails, and says why, into the place of what cannot be carried over."""
        body = self._body(action, properties)
        number = len(properties.unread())
        settings = f" with {number} setting{'s' * (number > 1)}" if number else ""
        self._report.tell(action.place, what + settings, _FAILS, entry)
        entry["script"] = placeholder(f"{entry['name']}: {what}", body)

    def manual(
        self, action: Record, properties: Properties, entry: Entry, changed: Mapping[str, str]
    ) -> None:
        """Adds what a manual intervention asks, and whom."""
        entry["kind"] = "manual"
        said = renamed(properties.text("Octopus.Action.Manual.Instructions"), changed).strip()
        try:
            entry["instructions"] = readable(said or str(entry["name"]))
        except Uncarried as reason:
            self._report.tell(action.place, str(reason), "its text stands as it is", entry)
            entry["instructions"] = literal(said)
        teams = properties.text("Octopus.Action.Manual.ResponsibleTeamIds")
        found = [self._team(each.strip()) for each in teams.split(",") if each.strip()]
        if found:
            # Nobody has the name of a team: rather that than to let anybody answer.
            entry["responsible"] = list(dict.fromkeys(name for name, _ in found))
            entry["required"] = True
            what = f"teams are responsible: {', '.join(name + who for name, who in found)}"
            instead = "nobody can answer until users are named in their place"
            self._report.tell(action.place, what, instead, entry)
        if properties.flag("Octopus.Action.Manual.BlockConcurrentDeployments"):
            entry["keep_tag"] = True
        self._rest(action, properties, entry)

    def _script(self, action: Record, properties: Properties, body: str) -> Script:
        type_ = action.text("ActionType")
        if properties.text("Octopus.Action.Template.Id"):
            raise Uncarried(f"a step from a template ({type_ or 'of an unknown kind'})")
        if type_.casefold() != "octopus.script":
            near = _NEAR.get(type_.casefold())
            hint = f" (near to it is {near})" if near else ""
            raise Uncarried(f"a step of the kind {type_ or 'that is not named'}{hint}")
        source = properties.text("Octopus.Action.Script.ScriptSource").strip() or "Inline"
        if source.casefold() != "inline":
            raise Uncarried(f"a script from a {source}")
        if packages := [_package(each) for each in action.records("Packages")]:
            raise Uncarried(f"a script that uses packages ({', '.join(packages)})")
        if action.raw("GitDependencies"):
            raise Uncarried("a script that uses files from Git")
        if tags := action.texts("TenantTags"):
            raise Uncarried(f"it runs for tenants only ({', '.join(tags)})")
        return script(body, properties.text("Octopus.Action.Script.Syntax"))

    def _body(self, action: Record, properties: Properties) -> str:
        """The script's text; the migrator can put it into a file: ``… - ACTION - Script.sh``."""
        if body := properties.text(_BODY):
            return body
        ending = f" - {action.text('Name')} - Script"
        for name, text in self._scripts.items():
            path = PurePosixPath(name)
            if path.stem.endswith(ending):
                return text
        return ""

    def _team(self, id_: str) -> tuple[str, str]:
        """The name of a team, and who is in it as far as the export says."""
        team = self._export.find(id_)
        if team is None or team.kind is not Kind.TEAM:
            return id_, ""
        self._export.use(id_)
        members = record(team).texts("MemberUserIds")
        return team.name, f" ({', '.join(members)})" if members else ""

    def _rest(self, action: Record, properties: Properties, entry: Entry) -> None:
        properties.text("OctopusUseBundledTooling")
        if settings := properties.unread():
            what = f"there is nothing here for the settings {', '.join(settings)}"
            self._report.tell(action.place, what, "left out", entry)
        self._report.rest(action, entry)


def _package(package: Record) -> str:
    return package.text("PackageId") or package.text("Name") or "unnamed"
