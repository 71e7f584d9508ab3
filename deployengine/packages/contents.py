"""What may be in a package: the rules for names and links, and the limits.

A package is unpacked on machines, perhaps by root. So what is in it must stay in the folder that it
is unpacked into, whatever order a ``tar`` takes it in:

- no absolute name, no ``..``, no drive letter, no sign that can't be seen;
- nothing twice, and nothing beneath what is no folder: so no way leads through a link;
- a link's target is relative, has ``..`` only at its beginning, and not more of them than the link
  has folders above it: as these are real folders, the target is within the package, and so is
  whatever a further link there leads to;
- files, folders and links only. What a hard link names is put there once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import IO

from deployengine.packages.errors import BadArchive, TooLarge

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PART = 255

#: What the plain header of a tar holds.
_LATEST = 2**33 - 1


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a package is refused. Sizes are in bytes."""

    #: Of the file in the feed.
    packed: int = 4 << 30
    #: Of all files in it.
    unpacked: int = 16 << 30
    #: Entries: files, folders and links.
    entries: int = 200_000
    #: How much larger it may become, unless it stays below ``harmless``.
    ratio: int = 200
    harmless: int = 100 << 20
    #: Bytes of a name with all its folders, and how many of these.
    path: int = 1024
    depth: int = 48


LIMITS = Limits()

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link. ``target`` is a link's, ``open`` reads what a file holds.

    ``mode`` has the permissions, 0 where the archive knows none; ``time`` is in seconds since 1970.
    """

    path: str
    kind: Kind
    mode: int = 0
    time: float = 0
    size: int = 0
    target: str = ""
    open: Open | None = field(default=None, repr=False, compare=False)


class Contents:
    """The entries of one package, each checked as it comes. Raises :class:`BadArchive`.

    ``packed`` is the size of the file that they come from, ``where`` names it.
    """

    def __init__(self, where: str, packed: int, limits: Limits = LIMITS) -> None:
        self._where = where
        self._packed = packed
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        #: Those that no entry names but as a part of its own name.
        self._folders: set[str] = set()
        self._size = 0
        if packed > limits.packed:
            raise self.too_large(f"has more than {limits.packed} bytes")

    def __iter__(self) -> Iterator[Entry]:
        """All entries, folders that none named included, in the order of their paths' bytes."""
        implied = (Entry(folder, Kind.FOLDER, _mode(Kind.FOLDER, 0)) for folder in self._folders)
        entries = [*self._entries.values(), *implied]
        return iter(sorted(entries, key=lambda entry: entry.path.encode()))

    def add(self, entry: Entry) -> None:
        """Takes one more, as it stands in the archive."""
        path = self._path(entry.path)
        if not path:
            return  # the package itself
        kind = entry.kind
        if kind is Kind.LINK:
            self._check_target(path, entry.target)
        self._place(path, kind)
        size = entry.size if kind is Kind.FILE else 0
        self._count(size)
        time = min(max(int(entry.time), 0), _LATEST)
        self._entries[path] = replace(
            entry, path=path, mode=_mode(kind, entry.mode), time=time, size=size
        )

    def file(self, name: str) -> Entry:
        """The file that a hard link names; raises :class:`BadArchive` where there is none yet."""
        found = self._entries.get(self._path(name))
        if found is None or found.kind is not Kind.FILE:
            raise self.bad(
                f"has a hard link to {name!r}, which is no file before it in the package"
            )
        return found

    def bad(self, what: str) -> BadArchive:
        """The package is refused for this."""
        return BadArchive(f"the package {what}; nothing of it was used", self._where)

    def too_large(self, what: str) -> TooLarge:
        """The package is refused for its size."""
        return TooLarge(f"the package {what}; nothing of it was used", self._where)

    def check_growth(self, size: int) -> None:
        """Raises :class:`TooLarge` when so many bytes have come out of it."""
        if size > self._limits.unpacked:
            raise self.too_large(f"unpacks to more than {self._limits.unpacked} bytes")
        if size > max(self._limits.harmless, self._limits.ratio * self._packed):
            raise self.too_large(
                f"has {self._packed} bytes and unpacks to more than {size}, which looks like a bomb"
            )

    def _path(self, name: str) -> str:
        if not name.isprintable():
            raise self.bad(f"has the name {name!r} in it, with a character that can't be seen")
        if name.startswith("/") or _DRIVE.match(name):
            raise self.bad(f"has the absolute name {name!r} in it")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.bad(f"has the name {name!r} in it, which leads out of it")
        long = any(len(part.encode()) > _LONGEST_PART for part in parts)
        if long or len(name.encode()) > self._limits.path or len(parts) > self._limits.depth:
            raise self.bad(f"has a name that is too long or too deep: {name[:80]!r}…")
        return "/".join(parts)

    def _check_target(self, path: str, target: str) -> None:
        parts = target.split("/")
        ups = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
        out = target.startswith("/") or ".." in parts[ups:] or ups > path.count("/")
        if out or not target or not target.isprintable() or len(target.encode()) > 255:
            raise self.bad(f"has the link {path!r} to {target!r}, which may lead out of it")

    def _place(self, path: str, kind: Kind) -> None:
        """Notes the folders above it. Nothing may be there already, but a folder for a folder."""
        parts = path.split("/")
        for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            other = self._entries.get(folder)
            if other is None:
                self._folders.add(folder)
            elif other.kind is not Kind.FOLDER:
                raise self.bad(f"has {path!r} beneath {folder!r}, which is no folder")
        known = self._entries.get(path)
        is_folder = path in self._folders or (known is not None and known.kind is Kind.FOLDER)
        if (known is not None or is_folder) and not (is_folder and kind is Kind.FOLDER):
            raise self.bad(f"has {path!r} in it twice")
        self._folders.discard(path)

    def _count(self, size: int) -> None:
        self.check_count(len(self._entries) + len(self._folders) + 1)
        self._size += size
        self.check_growth(self._size)

    def check_count(self, entries: int) -> None:
        """Raises :class:`TooLarge` when it has so many entries."""
        if entries > self._limits.entries:
            raise self.too_many()

    def too_many(self) -> TooLarge:
        """It has more entries than it may."""
        return self.too_large(f"has more than {self._limits.entries} entries")


def _mode(kind: Kind, mode: int) -> int:
    """Whoever owns it may use it, others may not write; no setuid, no sticky bit."""
    if kind is Kind.FILE:
        return (mode & 0o755) | 0o600 if mode else 0o644
    return (mode & 0o755) | 0o700 if mode and kind is Kind.FOLDER else 0o755
