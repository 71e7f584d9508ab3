"""Lifecycles and their phases."""

from __future__ import annotations

from deployengine.importing.documents import Document, Kind
from deployengine.importing.environments import in_order
from deployengine.importing.export import Export, record
from deployengine.importing.names import Names
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Report

#: What the phases that Octopus lets go first in its queue have here.
_PRIORITY = 1


class Lifecycles:
    """Turns lifecycles into the section of that name."""

    def __init__(self, export: Export, names: Names, environments: Names, report: Report) -> None:
        self._export = export
        self._names = names
        self._environments = environments
        self._report = report

    def section(self) -> Items:
        """All lifecycles."""
        return Items(self._lifecycle(document) for document in self._export.of(Kind.LIFECYCLE))

    def _lifecycle(self, document: Document) -> Entry:
        read = record(document)
        entry = self._names.entry(document.id, read.place, self._report)
        read.text("Name")
        if description := read.text("Description").strip():
            entry.notes.append(description)
        entry["phases"] = self._phases(read)
        if not entry["phases"]:
            entry["phases"].extend(self._conventional())
            what = "only its name is in the export" if document.reference else "it has no phases"
            instead = "there is one for each environment, by hand, as Octopus takes it"
            self._report.tell(read.place, what, instead, entry)
        kept = read.record("ReleaseRetentionPolicy")
        if _items_kept(kept) is None:
            self._retention(read, kept, entry)
        read.record("TentacleRetentionPolicy")
        self._report.rest(read, entry)
        return entry

    def _conventional(self) -> list[Entry]:
        """What Octopus makes of a lifecycle without phases: each environment, by hand, in order."""
        found = (self._environments.find(each.id) for each in in_order(self._export))
        return [Entry(name=name, manual=[name]) for name in found if name]

    def _phases(self, lifecycle: Record) -> Items:
        phases = Items()
        names = Names()
        kept = lifecycle.record("ReleaseRetentionPolicy")
        everything = {self._environments.find(each.id) for each in in_order(self._export)}
        seen: set[str] = set()
        for index, read in enumerate(lifecycle.records("Phases")):
            read.place = read.place.inside(f"phase {read.text('Name') or index + 1}")
            names.give(str(index), read.text("Name"))
            entry = names.entry(str(index), read.place, self._report)
            listed = self._targets(read, entry, seen, phases)
            taken = {*entry.get("automatic", ()), *entry.get("manual", ())}
            if not taken and (listed or seen >= everything):
                what = "earlier phases have all of its environments"
                self._report.tell(read.place, what, "the phase is left out", phases)
                continue
            seen |= taken or {name for name in everything if name}
            self._rules(read, entry, len(taken))
            if own := read.record("ReleaseRetentionPolicy"):
                self._retention(read, own, entry)
            elif (quantity := _items_kept(kept)) is not None:
                entry["keep_releases"] = quantity
            read.record("TentacleRetentionPolicy")
            self._report.rest(read, entry)
            phases.append(entry)
        return phases

    def _targets(self, read: Record, entry: Entry, seen: set[str], phases: Items) -> bool:
        """Adds the environments; whether Octopus lists any. Here each belongs to one phase."""
        listed = False
        taken = set(seen)
        for key, source in (
            ("automatic", "AutomaticDeploymentTargets"),
            ("manual", "OptionalDeploymentTargets"),
        ):
            found = environment_names(self._export, self._environments, read, source)
            listed = listed or bool(found)
            if again := [name for name in found if name in taken]:
                what = f"{', '.join(again)} stands here a second time"
                self._report.tell(read.place, what, "its first place counts", phases)
            if fresh := [name for name in found if name not in taken]:
                entry[key] = fresh
                taken |= set(fresh)
        return listed

    def _rules(self, read: Record, entry: Entry, count: int) -> None:
        minimum = read.number("MinimumEnvironmentsBeforePromotion") or 0
        if count and minimum > count:
            what = f"{minimum} environments must succeed, but the phase has {count}"
            self._report.tell(read.place, what, "all of them must", entry)
        elif minimum:
            entry["minimum"] = minimum
        if read.flag("IsOptionalPhase"):
            entry["optional"] = True
        if read.flag("IsPriorityPhase"):
            entry["priority"] = _PRIORITY

    def _retention(self, read: Record, policy: Record, entry: Entry) -> None:
        """By releases as here; keeping them by days, as Octopus also can, there is nothing for."""
        if (quantity := _items_kept(policy)) is not None:
            entry["keep_releases"] = quantity
        elif count := policy.number("QuantityToKeep"):
            what = f"releases are kept for {count} {policy.text('Unit').casefold() or 'days'}"
            self._report.tell(read.place, what, "all are kept; see keep_releases", entry)


def _items_kept(policy: Record) -> int | None:
    by_items = policy.text("Unit").casefold() == "items"
    return (policy.number("QuantityToKeep") or None) if by_items else None


def environment_names(export: Export, names: Names, read: Record, key: str) -> list[str]:
    """The names of the environments that ``key`` lists by id, each once; notes missing ones."""
    ids = dict.fromkeys(read.texts(key))
    found = (export.require(id_, Kind.ENVIRONMENT, read.place, key) for id_ in ids)
    return [name for each in found if each is not None and (name := names.find(each.id))]
