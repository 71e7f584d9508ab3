"""The files of an export: those of a folder, of a zip that is read in place, or a single one.

Nothing is unpacked to disk, so a name inside a zip leads nowhere; it is only shown. What is larger
than an export can reasonably be is refused before it is in memory, however small a zip makes it.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deployengine.domain.errors import RequestError

#: Octopus writes documents as JSON; the scripts beside them stem from its older migrator.
SUFFIXES = (".json", ".sh", ".ps1", ".py", ".csx", ".fsx")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is read at most: bytes of one file, bytes of all, and files."""

    file: int = 64 * 1024 * 1024
    all: int = 512 * 1024 * 1024
    files: int = 50_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the export: its path inside it, and what is in it."""

    name: str
    content: bytes = field(repr=False)


def files(path: Path, bounds: Bounds = Bounds()) -> list[SourceFile]:
    """The JSON and script files of an export, by name.

    Raises :class:`RequestError` when there is no such folder or file, it cannot be read, or it is
    larger than the bounds.
    """
    try:
        if path.is_dir():
            found = _Reading(path, bounds).folder()
        elif zipfile.is_zipfile(path):
            found = _Reading(path, bounds).archive()
        elif path.suffix.lower() == ".json" and path.is_file():
            found = _Reading(path, bounds).single()
        elif path.exists():
            raise _refused(path, "is no folder, zip or JSON file", "give the export of Octopus")
        else:
            raise _refused(path, "there is no such folder or file")
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or error}") from error
    return sorted(found, key=lambda file: file.name)


class _Reading:
    """One walk through an export, counting what it takes into memory."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.left = bounds.all
        self.count = 0

    def folder(self) -> list[SourceFile]:
        found = []
        for folder, _, names in os.walk(self.path, onerror=_raised):
            for file in sorted(Path(folder, name) for name in names):
                # A pipe or a device of that name would never end.
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    with file.open("rb") as stream:
                        name = file.relative_to(self.path).as_posix()
                        found.append(SourceFile(_shown(name), self._content(name, stream.read)))
        return found

    def single(self) -> list[SourceFile]:
        with self.path.open("rb") as stream:
            return [SourceFile(_shown(self.path.name), self._content(self.path.name, stream.read))]

    def archive(self) -> list[SourceFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return list(self._members(archive))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _refused(self.path, f"is a broken zip: {error}") from error

    def _members(self, archive: zipfile.ZipFile) -> Iterator[SourceFile]:
        for member in archive.infolist():
            if member.is_dir() or Path(member.filename).suffix.lower() not in SUFFIXES:
                continue
            if member.flag_bits & 1:
                advice = "unpack it with its password and give the folder"
                raise _refused(self.path, "is encrypted as a zip", advice)
            with archive.open(member) as stream:
                content = self._content(member.filename, stream.read)
            yield SourceFile(_shown(member.filename), content)

    def _content(self, name: str, read: Callable[[int], bytes]) -> bytes:
        """What is read is measured, not what a zip says of itself."""
        self.count += 1
        if self.count > self.bounds.files:
            raise _refused(self.path, f"has more than {self.bounds.files} files")
        bound = min(self.bounds.file, self.left)
        content = read(bound + 1)
        if len(content) > bound:
            raise _refused(self.path, f"{_shown(name)} is too large, or all files together are")
        self.left -= len(content)
        return content


def _shown(name: str) -> str:
    """A file's name may hold anything; what cannot be seen is not printed."""
    return "".join(char if char.isprintable() else "?" for char in name)


def _raised(error: OSError) -> None:
    raise error


def _refused(path: Path, what: str, advice: str | None = None) -> RequestError:
    return RequestError(what, str(path), advice)
