"""Reading a catalog: all files become one, or all of their faults are told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployengine.catalog import lines
from deployengine.catalog.declared import Declared
from deployengine.catalog.duplicates import duplicates
from deployengine.catalog.entries import Entries, entries
from deployengine.catalog.insertions import misled
from deployengine.catalog.inventory.machines import add_machines, named_by
from deployengine.catalog.items import KINDS, Catalog, CatalogItem, documents
from deployengine.catalog.references import references
from deployengine.catalog.soundness import unsound
from deployengine.catalog.unanswered import unanswered_phases, unanswered_schedules
from deployengine.catalog.unresolved import doubtful, unresolved
from deployengine.domain.errors import Fault, InvalidInput

_SUFFIXES = (".yaml", ".yml")


def load(paths: Iterable[Path | str]) -> Catalog:
    """The catalog that these files, and the ``*.yaml`` and ``*.yml`` of these folders, make up.

    Sensitive values are plain text in it until :meth:`Catalog.sealed`. Raises
    :class:`InvalidInput` with every fault of every file; it quotes no value of a variable.
    """
    paths = list(paths)
    faults: list[Fault] = []
    found, whole = read_documents(paths, faults)
    read = entries(found)
    added = add_machines(read)
    whole = whole and added.whole
    faults += read.faults
    if whole and not faults and not any(read.sections.values()):
        faults.append(Fault("the catalog is empty", ", ".join(str(path) for path in paths)))
    declared = Declared.in_(read)
    if whole:
        # With a file unread, what it declares would be taken for missing.
        faults += _checked(read, declared)
    if faults:
        raise InvalidInput(sorted(dict.fromkeys(faults), key=_place))
    warnings = sorted([*dict.fromkeys(added.warnings), *_doubtful(read, declared)], key=_place)
    return Catalog(tuple(_items(read, declared.default_lifecycle)), tuple(warnings))


def _files(paths: Iterable[Path | str], faults: list[Fault]) -> Iterator[Path]:
    """Each file once, those of a folder by name."""
    seen: set[Path] = set()
    for path in map(Path, paths):
        for file in _inside(path, faults) if _is_folder(path) else [path]:
            if file.absolute() not in seen:
                seen.add(file.absolute())
                yield file


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Nobody may look at it: reading it as a file tells why.
        return False


def _inside(folder: Path, faults: list[Fault]) -> Sequence[Path]:
    try:
        files = sorted(
            file
            for file in folder.iterdir()
            if file.suffix in _SUFFIXES and not file.name.startswith(".") and not file.is_dir()
        )
    except OSError as error:
        faults.append(Fault(f"can't be read: {error.strerror}", str(folder)))
        return []
    if not files:
        faults.append(Fault("the folder has no *.yaml or *.yml file", str(folder)))
    return files


def read_documents(
    paths: Iterable[Path | str], faults: list[Fault]
) -> tuple[list[lines.Document], bool]:
    """The documents of all files but those that others name as inventories.

    Adds what is wrong with their YAML, and tells whether all of them were read to their ends.
    """
    contents = [_content(file) for file in _files(paths, faults)]
    whole = not faults
    inventories = {path for content in contents for path in content.inventories()}
    found: list[lines.Document] = []
    for content in contents:
        if content.file.absolute() not in inventories:
            found += content.documents
            faults += content.faults
            whole = whole and content.complete
    return found, whole


@dataclass(frozen=True, slots=True)
class _Content:
    """What one file holds; ``complete``: it was read to its end."""

    file: Path
    documents: list[lines.Document]
    faults: list[Fault]
    complete: bool

    def inventories(self) -> Iterator[Path]:
        """The inventories that it names."""
        for document in self.documents:
            for path in named_by(document):
                yield path.absolute()


def _content(file: Path) -> _Content:
    try:
        return _Content(file, *lines.read(file.read_bytes(), str(file)))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        said = "there is no such file" if missing else f"can't be read: {error.strerror}"
        return _Content(file, [], [Fault(said, str(file))], False)


def _checked(read: Entries, declared: Declared) -> Iterator[Fault]:
    yield from duplicates(read)
    yield from references(read, declared)
    yield from unsound(read, declared)
    yield from misled(read)
    yield from unresolved(read)
    yield from unanswered_schedules(read, declared)


def _doubtful(read: Entries, declared: Declared) -> Iterator[Fault]:
    yield from unanswered_phases(read, declared)
    yield from doubtful(read)


def _place(fault: Fault) -> tuple[str, int]:
    return fault.file or "", fault.line or 0


def _items(read: Entries, default_lifecycle: str | None) -> Iterator[CatalogItem]:
    for section, kind in KINDS.items():
        stored = (
            document
            for entry in read.sections[section]
            if entry.model is not None
            for document in documents(entry.model, default_lifecycle)
        )
        for position, document in enumerate(stored):
            yield CatalogItem(kind, document["name"], position, document)
