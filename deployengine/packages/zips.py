"""Reading zip files, and NuGet packages, which are zip files with a few parts of their own."""

from __future__ import annotations

import calendar
import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from deployengine.packages.contents import Contents, Entry, Kind

#: What NuGet adds to what its author packed.
_OF_NUGET = ("[Content_Types].xml", "_rels/", "package/services/metadata/")

#: With what each entry of a zip file's directory begins.
_HEADER = b"PK\1\2"
_LARGEST_DIRECTORY = 256 << 20
_ENCRYPTED = 0x1
_UNIX = 3
_LONGEST_TARGET = 4096


class _Counted(io.FileIO):
    """A zip file whose directory is counted before the library makes an object of each entry.

    The library reads the directory at once; nothing else that it reads has so many headers in it.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        super().__init__(path)
        self._contents = contents

    def read(self, size: int | None = -1) -> bytes:
        size = -1 if size is None else size
        if size > _LARGEST_DIRECTORY:
            raise self._contents.too_many()
        piece = super().read(size) or b""
        self._contents.check_count(piece.count(_HEADER))
        return piece


@contextmanager
def reading_zip(path: Path, contents: Contents, *, nuget: bool) -> Iterator[None]:
    """Adds all that is in a zip file; its files can be read until the end of the block."""
    with _Counted(path, contents) as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            # The library cuts a name at a NUL, and takes a backslash for a letter.
            name = info.orig_filename.replace("\\", "/")
            if nuget:
                name = unquote(name)
            if not (nuget and name.startswith(_OF_NUGET)):
                contents.add(_entry(contents, archive, info, name))
        yield


def _entry(contents: Contents, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Entry:
    if info.flag_bits & _ENCRYPTED:
        raise contents.bad("is locked with a password")
    unix = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind, mode, time = stat.S_IFMT(unix), stat.S_IMODE(unix), _time(info)
    if name.endswith("/") or kind == stat.S_IFDIR:
        return Entry(name, Kind.FOLDER, mode, time)
    if kind == stat.S_IFLNK:
        if info.file_size > _LONGEST_TARGET:
            raise contents.bad(f"has the link {name!r} to a name that is too long")
        target = archive.read(info).decode("utf-8", "replace")
        return Entry(name, Kind.LINK, mode, time, target=target)
    if kind not in (0, stat.S_IFREG):
        raise contents.bad(f"has {name!r} in it, which is no file, folder or link")
    return Entry(name, Kind.FILE, mode, time, info.file_size, open=partial(archive.open, info))


def _time(info: zipfile.ZipInfo) -> int:
    """Zip files do not say in which zone their times are; some have none."""
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:
        return 0
