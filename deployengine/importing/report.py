"""What could not be carried over: told in a report, and as a comment where it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployengine.importing.record import Record


class Entry(dict[str, Any]):
    """A mapping of the catalog, and the notes that stand above it as comments."""

    def __init__(self, **values: Any) -> None:
        super().__init__(values)
        self.notes: list[str] = []


class Items(list[Any]):
    """A list of the catalog, and the notes that stand above it as comments."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(values)
        self.notes: list[str] = []


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the export: its file, and its name as people say it."""

    file: str
    name: str

    def inside(self, name: str) -> Place:
        """The place of a part: ``project shop, step Install``."""
        return Place(self.file, f"{self.name}, {name}" if self.name else name)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the catalog does not hold as Octopus had it, and what was done ``instead``."""

    file: str
    name: str
    what: str
    instead: str

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.name) if part)
        return f"{place}: {self.what}; {self.instead}"


class Uncarried(Exception):
    """Something cannot be carried over; says why. Whoever asked for it decides what to do then."""


@dataclass(slots=True)
class Report:
    """Every loss, in the order in which they were found."""

    losses: list[Loss] = field(default_factory=list)

    def tell(self, place: Place, what: str, instead: str, at: Entry | Items) -> None:
        """Adds a loss, and a note ``at`` the part of the catalog that it concerns."""
        self.losses.append(Loss(place.file, place.name, what, instead))
        # An entry names itself; above a list, what is missing from it must be named.
        named = isinstance(at, Entry) and "name" in at
        about = "" if named else f"{place.name.rpartition(', ')[2]}: "
        at.notes.append(f"{about}{what}; {instead}")

    def rest(self, record: Record, at: Entry | Items) -> None:
        """Tells of everything in the record that nobody read and that says something."""
        if unread := record.unread():
            self.tell(
                record.place, f"there is nothing here for {', '.join(unread)}", "left out", at
            )
