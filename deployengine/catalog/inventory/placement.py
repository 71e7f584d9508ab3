"""Which hosts of an inventory are machines of the catalog, in which environments and roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deployengine.catalog.entries import Entry
from deployengine.catalog.inventory.listing import Listing, Place
from deployengine.catalog.inventory.section import Inventory
from deployengine.catalog.inventory.selection import Selection, fits
from deployengine.catalog.runs_of_names import summary
from deployengine.domain.errors import Fault

#: So many names, or runs of names, can be told.
_FEW = 4

Placed = dict[str, Place]


class Placement:
    """What an entry of ``inventories`` makes of the hosts that are listed."""

    def __init__(self, entry: Entry[Inventory], model: Inventory, listing: Listing) -> None:
        self._entry = entry
        self._model = model
        self._listing = listing
        self._selection = Selection(listing)
        #: The hosts that are machines, in the order of the inventory.
        self.hosts = [
            host
            for host in listing.hosts
            if (model.only is None or self._selection.fits(host, model.only))
            and not self._selection.fits(host, model.exclude or ())
        ]

    def faults(self) -> Iterator[Fault]:
        """Names that nothing bears, and hosts that would be nowhere."""
        found = [*self._unknown()]
        yield from found
        if bool(self._model.environment) == bool(self._model.environments):
            message = (
                "say either `environment: NAME`, which is that of all hosts, or `environments: "
                "{GROUP: NAME}`"
            )
            yield self._entry.fault(message, "environments")
        elif found:
            return
        elif not self.hosts:
            yield self._entry.fault("no host is left of the inventory", "file")
        elif lost := [host for host in self.hosts if not self.environments(host)]:
            yield self._listing.hosts[lost[0]].place.fault(
                f"no group that `environments` names has it ({told(lost)}); name one there, or "
                "leave it out with `exclude`"
            )

    def environments(self, host: str) -> Placed:
        """The environments of a host, and where it is said."""
        if self._model.environment:
            return {self._model.environment: self._place("environment")}
        return {
            name: self._place("environments", pattern)
            for pattern, names in self._model.environments.items()
            if self._selection.fits(host, [pattern])
            for name in names
        }

    def roles(self, host: str) -> Placed:
        """The roles of a host, and where it is said: without anything else, its groups."""
        if self._model.roles is None:
            return {
                group: self._listing.groups[group].place
                for group in self._selection.groups_of(host)
                if not any(fits(group, pattern) for pattern in self._model.environments)
            }
        return {
            name: self._place("roles", pattern)
            for pattern, names in self._model.roles.items()
            if self._selection.fits(host, [pattern])
            for name in names or self._groups(host, pattern)
        }

    def _groups(self, host: str, pattern: str) -> Iterator[str]:
        return (group for group in self._selection.groups_of(host) if fits(group, pattern))

    def _unknown(self) -> Iterator[Fault]:
        model = self._model
        for key, patterns in (
            ("environments", [(each, each) for each in model.environments]),
            ("roles", [(each, each) for each in model.roles or ()]),
            ("only", list(enumerate(model.only or ()))),
            ("exclude", list(enumerate(model.exclude or ()))),
        ):
            for at, pattern in patterns:
                if message := self._selection.missing(pattern):
                    yield self._entry.fault(message, key, at)

    def _place(self, *path: str) -> Place:
        fault = self._entry.fault("", *path)
        return Place(fault.file or "", fault.line, fault.path)


def told(hosts: Iterable[str]) -> str:
    """Hosts told briefly."""
    runs = list(summary(list(hosts)))
    return ", ".join([*runs[:_FEW], *["…"][: len(runs) > _FEW]])
