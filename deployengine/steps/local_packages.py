"""Packages on this machine, by their digests; the contract says what is promised of them."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

from deployengine.steps.errors import DamagedOnTheWay
from deployengine.steps.processes import look

#: The folder beside the tickets; no ticket can have this name.
FOLDER = ".packages"

#: Seconds after which nobody is at work any more on a file that is not whole, though its process
#: seems to be there: another one may bear its number.
_LONGEST_COPY = 86_400.0

_PIECE = 1 << 20


class LocalPackages:
    """The packages that lie beside the tickets of one machine. Raises plain ``OSError``."""

    def __init__(self, tickets: Path) -> None:
        self._folder = tickets / FOLDER

    def has(self, digest: str) -> bool:
        """Whether it is there; it counts as used now."""
        try:
            os.utime(self._folder / digest)
        except FileNotFoundError:
            return False
        return True

    def deliver(self, archive: Path, digest: str) -> None:
        """Copies an archive, verifies the copy, and moves it into its place."""
        if self.has(digest):
            return
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        self._remove_left_over()
        new = self._folder / f".{digest}.{os.getpid()}.{threading.get_native_id()}"
        try:
            shutil.copyfile(archive, new)
            found = _digest_of(new)
            if found != digest:
                raise DamagedOnTheWay(
                    f"a package came to {self._folder} damaged: its SHA-256 is {found} there and "
                    f"should be {digest}; try again, and see to that disk"
                )
            new.rename(self._folder / digest)
        finally:
            new.unlink(missing_ok=True)

    def _remove_left_over(self) -> None:
        """Removes what workers that were killed have left half-way."""
        for left in self._folder.glob(".*.*"):
            _, _digest, process, *_ = left.name.split(".")
            found = look(int(process)) if process.isdigit() else None
            at_it = found is not None and found.alive
            with suppress(FileNotFoundError):
                if not at_it or time.time() - left.stat().st_mtime > _LONGEST_COPY:
                    left.unlink()


def _digest_of(path: Path) -> str:
    hashed = hashlib.sha256()
    try:
        with gzip.open(path) as packed:
            while piece := packed.read(_PIECE):
                hashed.update(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return "none"
    return hashed.hexdigest()
