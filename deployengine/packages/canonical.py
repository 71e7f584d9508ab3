"""The one form in which packages are kept and go to machines: a tar.gz with nothing left to chance.

Its tar depends on what is in the package and on nothing else: entries in the order of their names,
owner 0, times as packed. So every worker makes the same of the same package, and the tar's SHA-256
is what a release freezes and a machine verifies. (Not that of the compressed file, as zlib may
compress the same in several ways.) Names beyond what a plain header holds are written as GNU's tar
does, which all tars read that are about.

This form never changes, or releases of yesterday could not be deployed: a test pins a digest.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from deployengine.packages.contents import Entry, Kind
from deployengine.packages.errors import BadArchive

_TYPES = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}
_PIECE = 1 << 20


class _Hashed:
    """A file that is written, and the hash of what was written so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> int:
        self._hash.update(piece)
        self._size += len(piece)
        return self._file.write(piece)

    def tell(self) -> int:
        return self._size

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def write(entries: Iterable[Entry], path: Path) -> str:
    """Writes entries that come in order; the digest of the tar."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, 0) as packed:
        hashed = _Hashed(cast("BinaryIO", packed))
        with tarfile.open(
            fileobj=cast("BinaryIO", hashed), mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8"
        ) as archive:
            for entry in entries:
                _add(archive, entry)
        return hashed.digest


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.path)
    member.type = _TYPES[entry.kind]
    member.mode, member.mtime, member.size = entry.mode, int(entry.time), entry.size
    member.linkname = entry.target
    if entry.open is None:
        archive.addfile(member)
        return
    with entry.open() as content:
        archive.addfile(member, content)


def digest_of(path: Path) -> str:
    """The digest of the tar in such a file.

    Raises ``OSError``, ``EOFError`` or ``zlib.error`` for a damaged one.
    """
    hashed = hashlib.sha256()
    with gzip.open(path) as packed:
        while piece := packed.read(_PIECE):
            hashed.update(piece)
    return hashed.hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[tarfile.TarFile]:
    """Such a file, for reading from its beginning to its end; raises :class:`BadArchive`."""
    try:
        with tarfile.open(path, "r|gz", encoding="utf-8") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        message = f"the archive of a package is damaged here ({error})"
        raise BadArchive(message, str(path), "try again: then it is brought anew") from error
