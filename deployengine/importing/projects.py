"""Projects: channels, included sets, variables and process together."""

from __future__ import annotations

from collections.abc import Mapping

from deployengine.importing.actions import Actions
from deployengine.importing.directory import SERVER, Directory
from deployengine.importing.documents import Document, Kind
from deployengine.importing.export import Export, record
from deployengine.importing.libraries import is_script_module
from deployengine.importing.names import Names
from deployengine.importing.process import Process
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Place, Report
from deployengine.importing.roles import Roles
from deployengine.importing.scopes import Scopes
from deployengine.importing.step_names import StepNames
from deployengine.importing.steps import Around
from deployengine.importing.variables import Variables

#: What the guided failure modes of Octopus say here; the third one, nothing.
_GUIDED = {"on": True, "off": False}

#: What a project says there of which machines that are unavailable are skipped; else it fails.
_SKIPS = "skipunavailablemachines"

#: What other tools join into a project; the documents themselves are read where they stand.
_JOINED = (
    *("DeploymentProcess", "VariableSet", "IncludedLibraryVariableSets", "LifecycleName"),
    *("IncludedLibraryVariableSetNames", "ClonedFromProjectName", "ProjectGroupName"),
)


class Projects:
    """Turns projects into the section of that name."""

    def __init__(
        self,
        export: Export,
        directory: Directory,
        roles: Roles,
        scripts: Mapping[str, str],
        report: Report,
    ) -> None:
        """``scripts`` are script files beside the documents, by name."""
        self._export = export
        self._names = directory
        self._roles = roles
        self._actions = Actions(export, scripts, report)
        self._report = report

    def section(self) -> Items:
        """All projects."""
        section = Items()
        for document in self._export.of(Kind.PROJECT):
            if document.reference:
                continue
            read = record(document)
            if read.flag("IsDisabled"):
                self._report.tell(read.place, "it is disabled", "left out", section)
                self._forget(read)
            else:
                section.append(self._project(document, read))
        return section

    def _forget(self, read: Record) -> None:
        """What belongs to a project that is left out need not be told once more."""
        for key in ("VariableSetId", "DeploymentProcessId", "DeploymentSettingsId"):
            self._export.use(read.text(key))
        for channel in self._channels_of(read):
            self._export.use(channel.id)

    def _project(self, document: Document, read: Record) -> Entry:
        entry = self._names.projects.entry(document.id, read.place, self._report)
        read.text("Name")
        if description := read.text("Description").strip():
            entry.notes.append(description)
        self._group(read, entry)
        channels = Names()
        entry["lifecycle"] = lifecycle = self._lifecycle(read)
        entry["channels"] = self._channels(read, channels, entry, lifecycle)
        self._settings(read, entry)
        process = self._process(read, entry)
        steps = StepNames(process)
        around = Around(self._export, self._names.environments, channels, steps.names, self._report)
        made = Process(around, self._actions, self._roles, self._report).steps(process)
        entry["include"] = self._include(read, entry)
        if any(step.get("roles") == [SERVER] for step in made):
            entry["include"].append(self._names.server_set())
        entry["variables"] = self._variables(read, channels, steps)
        entry["process"] = made
        for key in _JOINED:
            read.raw(key)
        self._report.rest(read, entry)
        return entry

    def _group(self, read: Record, entry: Entry) -> None:
        """Groups only sort projects; which one it was stands above the project."""
        id_ = read.text("ProjectGroupId")
        if group := self._export.find(id_):
            self._export.use(group.id)
            entry.notes.append(f"of the project group {group.name}")
        elif id_:
            entry.notes.append(f"of the project group {id_}")

    def _lifecycle(self, read: Record) -> str | None:
        id_ = read.text("LifecycleId")
        if not id_:
            return None
        found = self._export.require(id_, Kind.LIFECYCLE, read.place, "LifecycleId")
        return self._names.lifecycles.find(found.id) if found else None

    def _channels_of(self, project: Record) -> list[Document]:
        id_ = project.text("Id").casefold()
        return [
            channel
            for channel in self._export.of(Kind.CHANNEL)
            if str(channel.data.get("ProjectId")).casefold() == id_
        ]

    def _channels(
        self, project: Record, names: Names, entry: Entry, lifecycle: str | None
    ) -> Items:
        """All channels. Releases that name none go by the default one, as in Octopus."""
        items = Items()
        for document in self._channels_of(project):
            self._export.use(document.id)
            read = record(document)
            read.place = Place(document.file, f"{project.place.name}, channel {document.name}")
            names.give(document.id, document.name)
            channel = names.entry(document.id, read.place, self._report)
            channel["lifecycle"] = self._lifecycle(read) or lifecycle
            if read.flag("IsDefault"):
                entry["lifecycle"] = channel["lifecycle"]
            if description := read.text("Description").strip():
                channel.notes.append(description)
            for key in ("Name", "ProjectId"):
                read.text(key)
            self._report.rest(read, channel)
            items.append(channel)
        return items

    def _settings(self, project: Record, entry: Entry) -> None:
        """Older exports have them in the project, newer ones in a document of their own."""
        found = [project]
        settings = self._export.find(project.text("DeploymentSettingsId"))
        if settings is not None:
            self._export.use(settings.id)
            found.append(record(settings, project.place.name))
        for read in found:
            mode = read.text("DefaultGuidedFailureMode").casefold()
            if mode in _GUIDED:
                entry["guided_failure"] = _GUIDED[mode]
            for key in ("ProjectConnectivityPolicy", "ConnectivityPolicy"):
                policy = read.record(key)
                if policy.text("SkipMachineBehavior").casefold() == _SKIPS:
                    entry["unavailable_machines"] = "skip"
                self._report.rest(policy, entry)
        for read in found[1:]:
            read.text("ProjectId")
            self._report.rest(read, entry)

    def _process(self, project: Record, entry: Entry) -> Record:
        id_ = project.text("DeploymentProcessId")
        in_git = project.record("PersistenceSettings").text("Type") == "VersionControlled"
        if (in_git or project.flag("IsVersionControlled")) and self._export.find(id_) is None:
            what = "its process is in a Git repository, not in the export"
            self._report.tell(project.place, what, "a step that fails stands in its place", entry)
            return Record({}, project.place)
        found = self._export.require(id_, Kind.PROCESS, project.place, "DeploymentProcessId")
        return record(found, project.place.name) if found else Record({}, project.place)

    def _include(self, project: Record, entry: Entry) -> list[str]:
        names = []
        for id_ in dict.fromkeys(project.texts("IncludedLibraryVariableSetIds")):
            found = self._export.require(
                id_, Kind.LIBRARY_SET, project.place, "IncludedLibraryVariableSetIds"
            )
            if found is not None and is_script_module(found):
                place = project.place.inside(f"script module {found.name}")
                self._report.tell(place, f"it includes {found.name}", "left out", entry)
            elif found is not None and (name := self._names.sets.find(found.id)):
                names.append(name)
        return names

    def _variables(self, project: Record, channels: Names, steps: StepNames) -> Items:
        id_ = project.text("VariableSetId")
        found = self._export.require(id_, Kind.VARIABLE_SET, project.place, "VariableSetId")
        if found is None:
            return Items()
        scopes = Scopes(
            self._export,
            self._names.environments,
            self._names.machines,
            self._roles,
            channels,
            steps.meant_by,
            project.text("Id"),
        )
        variables = Variables(scopes, steps.names.changed(), self._report)
        return variables.items(record(found, project.place.name))
