"""Deployment freezes, as far as they come once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from deployengine.importing.directory import Directory
from deployengine.importing.documents import Kind
from deployengine.importing.export import Export, record
from deployengine.importing.names import Names
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Report


class Freezes:
    """Turns freezes into the section of that name."""

    def __init__(self, export: Export, directory: Directory, report: Report) -> None:
        self._export = export
        self._directory = directory
        self._report = report
        self._names = Names()

    def section(self) -> Items:
        """All freezes that come once; one that comes again and again is told of."""
        section = Items()
        for document in self._export.of(Kind.FREEZE):
            if document.reference:
                continue
            self._export.use(document.id)
            read = record(document)
            begins, ends = _instant(read, "Start"), _instant(read, "End")
            if read.raw("RecurringSchedule") or not (begins and ends):
                what = "a freeze that comes again, or without an end"
                self._report.tell(read.place, what, "left out: nothing is held then", section)
                continue
            for index, entry in enumerate(self._scoped(read)):
                name = self._names.give(f"{document.id}/{index}", read.text("Name"))
                whole = Entry(name=name, **entry, **{"from": begins, "to": ends})
                section.append(whole)
                if not index:
                    self._report.rest(read, whole)
        return section

    def _scoped(self, read: Record) -> Iterator[dict[str, list[str]]]:
        """Octopus has environments for each project; here a freeze has both, so one may be many."""
        scope = read.record("ProjectEnvironmentScope")
        by_environments: dict[tuple[str, ...], list[str]] = {}
        for id_ in scope:
            project = self._directory.projects.find(id_)
            environments = tuple(scope.texts(id_))
            if project is not None and environments:
                by_environments.setdefault(environments, []).append(project)
        for ids, projects in by_environments.items():
            found = [self._environment(id_, read) for id_ in ids]
            yield {"environments": [name for name in found if name], "projects": projects}

    def _environment(self, id_: str, read: Record) -> str | None:
        self._export.require(id_, Kind.ENVIRONMENT, read.place, "ProjectEnvironmentScope")
        return self._directory.environments.find(id_)


def _instant(read: Record, key: str) -> str:
    """The time in UTC, as a catalog writes it; empty for one that cannot be read."""
    try:
        moment = datetime.fromisoformat(read.text(key))
    except ValueError:
        return ""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
