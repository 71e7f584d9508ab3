"""How the things that others refer to are called in the catalog."""

from __future__ import annotations

from collections.abc import Iterable

from deployengine.importing.documents import Document, Kind
from deployengine.importing.export import Export
from deployengine.importing.names import Names
from deployengine.importing.record import Record
from deployengine.importing.report import Place

#: The machine for steps that ran on the Octopus server or its workers, and their variable set.
SERVER = "octopus-server"


class Directory:
    """The names of everything that is carried over, given before anything refers to them."""

    def __init__(self, export: Export) -> None:
        self.environments = _named(export.of(Kind.ENVIRONMENT))
        self.machines = _named(filter(is_carried, export.of(Kind.MACHINE)), ranged=True)
        self.lifecycles = _named(export.of(Kind.LIFECYCLE))
        self.sets = _named(export.of(Kind.LIBRARY_SET))
        self.projects = _named(export.of(Kind.PROJECT), ranged=True)

    def server_machine(self) -> str:
        """The machine that stands for the Octopus server."""
        return self.machines.give(SERVER, SERVER)

    def server_set(self) -> str:
        """The variables of that machine."""
        return self.sets.give(SERVER, SERVER)


def is_carried(machine: Document) -> bool:
    """Whether a machine comes into the catalog: it is in use and belongs somewhere."""
    read = Record(machine.data, Place(machine.file, machine.name))
    return (
        not machine.reference and not read.flag("IsDisabled") and bool(read.texts("EnvironmentIds"))
    )


def _named(documents: Iterable[Document], *, ranged: bool = False) -> Names:
    names = Names(ranged=ranged)
    for document in documents:
        names.give(document.id, document.name)
    return names
