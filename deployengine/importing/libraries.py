"""Library variable sets."""

from __future__ import annotations

from deployengine.importing.documents import Document, Kind
from deployengine.importing.export import Export, record
from deployengine.importing.names import Names
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Report
from deployengine.importing.scopes import Scopes
from deployengine.importing.variables import Variables


def is_script_module(document: Document) -> bool:
    """Whether what looks like a variable set holds functions for scripts."""
    return str(document.data.get("ContentType")).casefold() == "scriptmodule"


class Libraries:
    """Turns library variable sets into the section ``variable_sets``."""

    def __init__(self, export: Export, names: Names, scopes: Scopes, report: Report) -> None:
        self._export = export
        self._names = names
        self._scopes = scopes
        self._report = report

    def section(self) -> Items:
        """All sets."""
        section = Items()
        for document in self._export.of(Kind.LIBRARY_SET):
            read = record(document)
            if is_script_module(document):
                what = "it is a script module, whose functions scripts call"
                self._report.tell(read.place, what, "left out", section)
                self._variables(read)
            else:
                section.append(self._set(document, read))
        return section

    def _set(self, document: Document, read: Record) -> Entry:
        entry = self._names.entry(document.id, read.place, self._report)
        read.text("Name")
        if read.text("ContentType") != "Variables":
            what = f"its contents are of the kind {read.text('ContentType') or 'that is not told'}"
            self._report.tell(read.place, what, "they are taken for variables", entry)
        if description := read.text("Description").strip():
            entry.notes.append(description)
        if document.reference:
            what = "only its name is in the export"
            self._report.tell(read.place, what, "it has no variables here", entry)
            entry["variables"] = Items()
            return entry
        found = self._variables(read)
        variables = Variables(self._scopes, {}, self._report)
        entry["variables"] = variables.items(found) if found is not None else Items()
        self._report.rest(read, entry)
        return entry

    def _variables(self, read: Record) -> Record | None:
        id_ = read.text("VariableSetId")
        found = self._export.require(id_, Kind.VARIABLE_SET, read.place, "VariableSetId")
        return record(found, read.place.name) if found is not None else None
