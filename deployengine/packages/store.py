"""Where a feed's files lie: the contract, and its plainest form, a folder."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployengine.packages.errors import FeedUnreachable, HalfAFile, NoSuchPackage, PackageError

#: Called with the bytes that came so far and, where it is known, how many there are. What it raises
#: ends the download.
Progress = Callable[[int, int | None], None]

#: What the system says when there is no room on our own disk.
FULL = (errno.ENOSPC, errno.EDQUOT)

#: What helps against what goes away by itself, as a rule.
AGAIN = "try again; if that does not help, see to the feed"

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A file or folder of a store. ``stamp`` changes whenever the content does, if it is known."""

    name: str
    is_folder: bool = False
    size: int | None = None
    stamp: str | None = None


class Store(Protocol):
    """Files by their paths, with slashes between the parts; each may raise ``PackageError``."""

    def list(self, folder: str) -> list[Listed] | None:
        """What is in a folder; ``None`` where there is no such folder, or nobody can tell."""

    def look(self, path: str) -> Listed:
        """One file; raises :class:`NoSuchPackage`."""

    def fetch(self, path: str, into: Path, progress: Progress) -> None:
        """Brings a file here. Raises :class:`HalfAFile`, and ``OSError`` for a full disk here."""


def ignore(_done: int, _whole: int | None) -> None:
    """The progress that nobody looks at."""


class FolderStore:
    """A folder of this host."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, folder: str) -> list[Listed] | None:
        path = self._root / folder
        try:
            return [found for each in sorted(path.iterdir()) if (found := _listed_if_there(each))]
        except (FileNotFoundError, NotADirectoryError) as error:
            if folder:
                return None
            advice = "make it, or mend the feed's url in the catalog"
            raise FeedUnreachable("there is no such folder", str(path), advice) from error
        except OSError as error:
            raise _unreadable(path, error) from error

    def look(self, path: str) -> Listed:
        whole = self._root / path
        try:
            return _listed(whole)
        except OSError as error:
            raise _unreadable(whole, error) from error

    def fetch(self, path: str, into: Path, progress: Progress) -> None:
        whole = self._root / path
        try:
            with whole.open("rb") as file, into.open("wb") as new:
                size = whole.stat().st_size
                while piece := file.read(_PIECE):
                    new.write(piece)
                    progress(new.tell(), size)
                check_whole(str(whole), new.tell(), size)
        except OSError as error:
            if error.errno in FULL:
                raise
            raise _unreadable(whole, error) from error


def check_whole(where: str, came: int, whole: int | None) -> None:
    """Raises :class:`HalfAFile` unless all came that there is."""
    if whole is not None and came != whole:
        message = f"the package has {whole} bytes, and {came} came"
        raise HalfAFile(message, where, AGAIN)


def _listed(path: Path) -> Listed:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        return Listed(path.name, is_folder=True)
    stamp = f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"
    return Listed(path.name, size=found.st_size, stamp=stamp)


def _listed_if_there(path: Path) -> Listed | None:
    """One that was found just now: it may have been renamed, or be a link to nothing."""
    try:
        return _listed(path)
    except FileNotFoundError:
        return None


def _unreadable(path: Path, error: OSError) -> PackageError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NoSuchPackage("there is no such file", str(path))
    advice = "let the engine's user read it"
    return FeedUnreachable(f"it can't be read: {error.strerror}", str(path), advice)
