"""An export as a whole: its documents by id, and what its ids are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployengine.domain.errors import Fault, InvalidInput
from deployengine.importing.documents import Document, Kind
from deployengine.importing.record import Record
from deployengine.importing.report import Place

#: Lists of ids and names that the API adds to variables, and what they are of.
_SCOPE_VALUES = {
    "Environments": Kind.ENVIRONMENT,
    "Machines": Kind.MACHINE,
    "Channels": Kind.CHANNEL,
}

#: Of these a name alone is nothing.
_NEEDED_WHOLE = (Kind.PROCESS, Kind.VARIABLE_SET)


class Export:
    """All documents of an export. Collects the references that lead out of it in ``missing``."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Raises :class:`InvalidInput` where two documents of one id differ."""
        self.missing: list[Fault] = []
        self._documents: dict[str, Document] = {}
        self._used: set[str] = set()
        faults: list[Fault] = []
        for document in documents:
            self._add(document, faults)
        for document in list(self._documents.values()):
            if document.kind is Kind.VARIABLE_SET:
                self._add_scope_values(document, faults)
        if faults:
            raise InvalidInput(faults)

    def of(self, kind: Kind) -> list[Document]:
        """The documents of a kind in the order in which they were found, references included."""
        return [document for document in self._documents.values() if document.kind is kind]

    def find(self, id_: str) -> Document | None:
        """The document of this id."""
        return self._documents.get(id_.casefold())

    def require(self, id_: str, kind: Kind, place: Place, key: str) -> Document | None:
        """The document that ``key`` refers to; notes it as missing when the export has none."""
        found = self.find(id_)
        whole = found is not None and not (found.reference and kind in _NEEDED_WHOLE)
        if found is not None and whole and found.kind is kind:
            self._used.add(found.id)
            return found
        message = f"{key} refers to {id_}, which is not in the export"
        self.missing.append(Fault(message, place.file, None, place.name))
        return None

    def use(self, id_: str) -> None:
        """Notes that something was made of this document, or that it was told of."""
        if (found := self.find(id_)) is not None:
            self._used.add(found.id)

    def unused(self) -> list[Document]:
        """The documents to which nothing referred, but for references themselves."""
        return [
            document
            for document in self._documents.values()
            if document.id not in self._used and not document.reference
        ]

    def check(self) -> None:
        """Raises :class:`InvalidInput` with everything that was found missing."""
        if self.missing:
            raise InvalidInput(list(dict.fromkeys(self.missing)))

    def _add(self, document: Document, faults: list[Fault]) -> None:
        """Of two alike the fuller one is kept, since tools join further parts into documents."""
        before = self._documents.setdefault(document.id.casefold(), document)
        if before is document or document.reference:
            return
        if before.reference or before.data.keys() < document.data.keys():
            self._documents[document.id.casefold()] = document
        if _differ(before.data, document.data):
            message = f"{document.id} differs from the one in {before.file}; give one export only"
            faults.append(Fault(message, document.file))

    def _add_scope_values(self, document: Document, faults: list[Fault]) -> None:
        values = document.data.get("ScopeValues")
        for key, kind in _SCOPE_VALUES.items():
            listed = values.get(key) if isinstance(values, dict) else None
            for each in listed if isinstance(listed, list) else ():
                id_ = each.get("Id") if isinstance(each, dict) else None
                if isinstance(id_, str):
                    self._add(Document(kind, id_, document.file, each, reference=True), faults)


def record(document: Document, name: str | None = None) -> Record:
    """A document to be read; ``name`` is how people call it."""
    return Record(document.data, Place(document.file, name or f"{document.kind} {document.name}"))


def _differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(one[key] != other[key] for key in one.keys() & other.keys() if key != "Links")
