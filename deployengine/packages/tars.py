"""Reading tar files, packed or not. A packed one is unpacked to a file first, within the limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from deployengine.packages.contents import Contents, Entry, Kind

#: More than the headers of any honest entry take, long names and all.
_LARGEST_HEADER = 1 << 20
_PIECE = 1 << 20

_UNPACK: dict[str, type[gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    "tar.gz": gzip.GzipFile,
    "tgz": gzip.GzipFile,
    "tar.bz2": bz2.BZ2File,
    "tar.xz": lzma.LZMAFile,
}


class _Headers(io.FileIO):
    """A tar file of which nobody reads a large piece at once, as for a header without end."""

    def __init__(self, path: Path, contents: Contents) -> None:
        super().__init__(path)
        self._contents = contents

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise self._contents.bad("has an entry with too large a header")
        return super().read(size) or b""


@contextmanager
def reading_tar(path: Path, extension: str, contents: Contents, scratch: Path) -> Iterator[None]:
    """Adds all that is in a tar file; its files can be read until the end of the block.

    What a packed one holds lies in ``scratch`` meanwhile.
    """
    if unpack := _UNPACK.get(extension):
        with unpack(path) as packed, scratch.open("wb") as new:
            while piece := packed.read(_PIECE):
                new.write(piece)
                contents.check_growth(new.tell())
        path = scratch
    with (
        _Headers(path, contents) as file,
        tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as archive,
    ):
        for member in archive:
            contents.add(_entry(contents, archive, member))
        _check_end(file, archive.offset)
        yield


def _entry(contents: Contents, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    name, mode, time = member.name, member.mode, member.mtime
    if member.isdir():
        return Entry(name, Kind.FOLDER, mode, time)
    if member.issym():
        return Entry(name, Kind.LINK, mode, time, target=member.linkname)
    if member.islnk():
        known = contents.file(member.linkname)
        return Entry(name, Kind.FILE, mode, time, known.size, open=known.open)
    if not member.isreg():
        raise contents.bad(f"has {name!r} in it, which is no file, folder or link")
    opened = partial(_opened, archive, member)
    return Entry(name, Kind.FILE, mode, time, member.size, open=opened)


def _check_end(file: io.FileIO, offset: int) -> None:
    """The library takes an archive that is cut between two entries, or damaged there, for whole."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end of the archive")


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    return content
