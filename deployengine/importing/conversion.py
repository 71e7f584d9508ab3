"""A whole export as a whole catalog."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from deployengine.domain import flags
from deployengine.importing.directory import Directory
from deployengine.importing.documents import Document, Kind
from deployengine.importing.environments import environments, in_order
from deployengine.importing.export import Export
from deployengine.importing.freezes import Freezes
from deployengine.importing.libraries import Libraries
from deployengine.importing.lifecycles import Lifecycles
from deployengine.importing.machines import Machines
from deployengine.importing.names import Names
from deployengine.importing.projects import Projects
from deployengine.importing.report import Entry, Items, Place, Report
from deployengine.importing.roles import Roles
from deployengine.importing.scopes import Scopes
from deployengine.importing.source import SourceFile
from deployengine.importing.unresolved import ask_for_unresolved

#: Kinds of documents, by the word that their ids begin with, of which only the count is told.
_HISTORY = frozenset(
    {
        *("releases", "deployments", "servertasks", "events", "artifacts", "interruptions"),
        *("deploymenthistory", "deploymentrelatedmachines", "runbookruns", "runbooksnapshots"),
        *("libraryvariablesetsnapshots", "deploymentsnapshots"),
    }
)

#: What a release froze has the id of its origin with this behind it.
_SNAPSHOT = re.compile(r"-(?:s|snapshot)-[0-9]", re.IGNORECASE)


@dataclass(slots=True)
class Converted:
    """The sections of a catalog, and what could not be carried over."""

    catalog: Entry
    report: Report


def convert(export: Export, files: Iterable[SourceFile]) -> Converted:
    """The catalog that an export makes; raises :class:`InvalidInput` for what it lacks."""
    report, roles = Report(), Roles()
    names = Directory(export)
    scripts = {
        file.name: file.content.decode("utf-8-sig", errors="replace")
        for file in files
        if not file.name.lower().endswith(".json")
    }
    everywhere = [name for each in in_order(export) if (name := names.environments.find(each.id))]
    catalog = Entry()
    catalog["environments"] = environments(export, names.environments, report)
    catalog["machines"] = Items()
    lifecycles = Lifecycles(export, names.lifecycles, names.environments, report)
    catalog["lifecycles"] = lifecycles.section()
    scopes = Scopes(
        export, names.environments, names.machines, roles, Names(), lambda _: (), owner=""
    )
    catalog["variable_sets"] = Libraries(export, names.sets, scopes, report).section()
    catalog["projects"] = Projects(export, names, roles, scripts, report).section()
    catalog["machines"] = Machines(export, names, report).section(roles, everywhere)
    freezes = Freezes(export, names, report).section()
    if freezes or freezes.notes:
        catalog["freezes"] = freezes
    if roles.server_used:
        catalog["variable_sets"].append(_server_set(names))
    ask_for_unresolved(catalog, report)
    _rest(export, report, catalog)
    export.check()
    return Converted(catalog, report)


def _server_set(names: Directory) -> Entry:
    """Workers of Octopus run many steps at once, unlike its machines."""
    shared = Entry(name=flags.BYPASS, value="True", scope={"machines": [names.server_machine()]})
    entry = Entry(name=names.server_set(), variables=Items([shared]))
    entry.notes.append("the Octopus server and its workers run many steps at once")
    return entry


def _rest(export: Export, report: Report, catalog: Entry) -> None:
    """Tells of the documents that nothing was made of."""
    carried = {Kind.ENVIRONMENT, Kind.MACHINE, Kind.LIFECYCLE, Kind.LIBRARY_SET, Kind.PROJECT}
    history: Counter[str] = Counter()
    for document in export.unused():
        if document.kind in carried:
            continue
        word = document.id.partition("-")[0]
        if word.casefold() in _HISTORY or _SNAPSHOT.search(document.id):
            history[word] += 1
        else:
            report.tell(_place(document), "there is nothing here for it", "left out", catalog)
    for word, count in history.items():
        place = Place("", f"{count} {word}")
        report.tell(place, "what has been is not carried over", "left out", catalog)


def _place(document: Document) -> Place:
    word = document.id.partition("-")[0]
    return Place(
        document.file, document.id if document.name == document.id else f"{word} {document.name}"
    )
