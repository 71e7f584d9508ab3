"""The items of a catalog as they stand in the files, each checked against the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from deployengine.catalog import schema, wording
from deployengine.catalog.lines import Document, Path
from deployengine.catalog.salvage import Origins, salvaged
from deployengine.domain.errors import Fault, nearest

Model = TypeVar("Model", bound=BaseModel)
Other = TypeVar("Other", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Entry(Generic[Model]):
    """One item and where it stands.

    ``raw`` is what the file says, ``model`` what the schema makes of it: without the parts that
    are faulty, and ``None`` when nothing is left.
    """

    document: Document
    path: Path
    raw: Any = field(repr=False)
    model: Model | None
    origins: Origins | None = field(default=None, repr=False)

    def fault(self, message: str, *path: str | int) -> Fault:
        """A fault at a place inside the model."""
        return self.document.fault(self._place(path), message)

    def line(self, *path: str | int) -> str:
        """``file:line`` of a place inside the model."""
        place = self.fault("", *path)
        return f"{place.file}:{place.line}"

    def says(self, *path: str | int) -> bool:
        """Whether something stands in the file at a place inside the model, right or wrong."""
        return self._place(path) in self.document.lines

    def refused(self, part: BaseModel, *path: str | int) -> bool:
        """Whether the file has the last key of the path, but the schema did not take its value.

        ``part`` is the part of the model that lacks it; there is a fault for it already.
        """
        return path[-1] not in part.model_fields_set and self.says(*path)

    def _place(self, path: Path) -> Path:
        return (*self.path, *(self.origins.place(path) if self.origins else path))


@dataclass(frozen=True, slots=True)
class Entries:
    """All items of all files, by section, and the faults found so far."""

    sections: Mapping[str, list[Entry[Any]]]
    faults: list[Fault]

    def of(self, section: str, model: type[Other]) -> Iterator[tuple[Entry[Other], Other]]:
        """The items of a section that can be checked further."""
        for entry in self.sections[section]:
            if isinstance(entry.model, model):
                yield entry, entry.model


def entries(documents: Iterable[Document]) -> Entries:
    """The items of these documents, read as one catalog."""
    found = Entries({section: [] for section in schema.PARTS}, [])
    for document in documents:
        _gather(document, found)
    return found


def _gather(document: Document, found: Entries) -> None:
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        known = ", ".join(schema.PARTS)
        found.faults.append(document.fault((), f"a catalog is a mapping with the keys {known}"))
        return
    for key, items in document.data.items():
        section: str | None = key
        if key not in schema.PARTS:
            message = wording.unknown_key(key, schema.PARTS)
            found.faults.append(document.fault((key,), message))
            section = nearest(key, schema.PARTS)
        if items is not None and not isinstance(items, list):
            found.faults.append(document.fault((key,), "must be a list"))
        elif section is not None:
            found.sections[section].extend(
                entry_of(document, (key, index), raw, schema.PARTS[section], found.faults)
                for index, raw in enumerate(items or ())
            )


def entry_of(
    document: Document, path: Path, raw: Any, model: type[Model], faults: list[Fault]
) -> Entry[Model]:
    """An item that stands at this path; adds what the schema finds wrong with it."""
    try:
        return Entry(document, path, raw, model.model_validate(raw))
    except ValidationError as error:
        faults += wording.faults(error, document, path, model)
        return Entry(document, path, raw, *salvaged(raw, model, error))
