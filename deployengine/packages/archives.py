"""From the file that somebody published to the engine's own form of it."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployengine.domain.package_layout import EXTENSIONS, extension_of
from deployengine.packages import canonical
from deployengine.packages.contents import LIMITS, Contents, Limits
from deployengine.packages.errors import BadArchive
from deployengine.packages.store import FULL
from deployengine.packages.tars import reading_tar
from deployengine.packages.zips import reading_zip

#: What the libraries raise for what is no sound archive.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)
_ZIPS = ("zip", "nupkg")


def repack(source: Path, file: str, into: Path, limits: Limits = LIMITS) -> str:
    """Writes the package in ``source`` to ``into`` in the engine's form; the digest of its tar.

    ``file`` is its name in the feed, whose ending says how it is packed. Files of the same name as
    ``into`` with an ending of their own may lie beside it meanwhile. Raises :class:`BadArchive` for
    what may not be unpacked anywhere, and ``OSError`` when the disk is full.
    """
    extension = extension_of(file)
    if extension is None:
        known = ", ".join(f".{each}" for each in sorted(EXTENSIONS))
        raise BadArchive(f"a package ends with one of {known}", file)
    scratch = into.with_name(f"{into.name}.tar")
    try:
        with _damage(file):
            contents = Contents(file, source.stat().st_size, limits)
            read = (
                reading_zip(source, contents, nuget=extension == "nupkg")
                if extension in _ZIPS
                else reading_tar(source, extension, contents, scratch)
            )
            with read:
                return canonical.write(contents, into)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _damage(file: str) -> Iterator[None]:
    try:
        yield
    except BadArchive:
        raise
    except _DAMAGE as error:
        raise _damaged(file) from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise _damaged(file) from error


def _damaged(file: str) -> BadArchive:
    return BadArchive(
        "the package is damaged, or not what its name says; nothing of it was used",
        file,
        "publish it again",
    )
