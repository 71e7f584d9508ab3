"""Environments in their order."""

from __future__ import annotations

from deployengine.importing.documents import Document, Kind
from deployengine.importing.export import Export, record
from deployengine.importing.names import Names
from deployengine.importing.report import Entry, Items, Report


def in_order(export: Export) -> list[Document]:
    """The environments as Octopus sorts them; such as are known by name only come last."""
    found = export.of(Kind.ENVIRONMENT)
    return sorted(found, key=lambda document: _sort_order(document))


def environments(export: Export, names: Names, report: Report) -> Items:
    """The section ``environments``."""
    return Items(_environment(document, names, report) for document in in_order(export))


def _environment(document: Document, names: Names, report: Report) -> Entry:
    read = record(document)
    entry = names.entry(document.id, read.place, report)
    if document.reference:
        what = "only its name is in the export"
        report.tell(read.place, what, "it comes after those that are there whole", entry)
        return entry
    read.text("Name"), read.text("SortOrder")
    if description := read.text("Description").strip():
        entry["description"] = description
    if read.flag("UseGuidedFailure"):
        entry["guided_failure"] = True
    report.rest(read, entry)
    return entry


def _sort_order(document: Document) -> tuple[bool, int]:
    return document.reference, record(document).number("SortOrder") or 0
