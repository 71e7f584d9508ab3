"""Names that a catalog can bear: like those of Octopus where they can be, and each one once."""

from __future__ import annotations

from deployengine.catalog.names import LONGEST, plain
from deployengine.importing.report import Entry, Place, Report

_UNNAMED = "unnamed"


class Names:
    """The names of things of one kind, by their ids. Upper and lower case make no difference.

    ``ranged`` ones may hold no brackets, since these would make many things of one.
    """

    def __init__(self, *, ranged: bool = False) -> None:
        self._ranged = ranged
        self._given: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._taken: set[str] = set()

    def give(self, id_: str, wanted: str) -> str:
        """The name for an id: the wanted one, or the nearest that can be used."""
        if id_.casefold() in self._given:
            return self._given[id_.casefold()]
        name = legal(wanted, ranged=self._ranged)
        count = 1
        while name.casefold() in self._taken:
            count += 1
            name = f"{legal(wanted, ranged=self._ranged)[: LONGEST - 6]} ({count})"
        self._taken.add(name.casefold())
        self._given[id_.casefold()] = name
        self._wanted[name] = wanted.strip()
        return name

    def find(self, id_: str) -> str | None:
        """The name that an id was given."""
        return self._given.get(id_.casefold())

    def entry(self, id_: str, place: Place, report: Report) -> Entry:
        """An entry with the name of this id; tells when it is not the one that Octopus had."""
        name = self._given[id_.casefold()]
        entry = Entry(name=name)
        if name != self._wanted[name]:
            report.tell(
                place, f"the name {self._wanted[name]!r} cannot be used", f"it is {name!r}", entry
            )
        return entry

    def changed(self) -> dict[str, str]:
        """The names that are not those of Octopus, by what they were and nothing is called now."""
        return {wanted: name for name, wanted in self._wanted.items() if wanted not in self._wanted}


def legal(wanted: str, *, ranged: bool = False) -> str:
    """The wanted name with what a name may not hold replaced."""
    name = "".join(char if char.isprintable() else " " for char in wanted)
    name = name.replace("/", "-").replace("\\", "-")
    if ranged:
        name = name.replace("[", "(").replace("]", ")")
    name = name.strip().lstrip(".").strip()[:LONGEST].strip()
    return plain(name or _UNNAMED)
