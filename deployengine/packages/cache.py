"""The packages that a worker has at hand, each once, in the engine's own form.

::

    packages/archives/<digest>     the tar.gz; its time is that of its last use
    packages/sources/<key>         what a file of a feed came to: the package, and the feed's stamp
    packages/locks/<key>           held while that file is brought

Whatever is here is whole: it came by rename. Several processes may share the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from deployengine.domain.package import Package
from deployengine.file_lock import locked
from deployengine.packages import canonical
from deployengine.packages.archives import repack
from deployengine.packages.contents import LIMITS, Limits
from deployengine.packages.errors import NoRoom, PackageChanged, TooLarge
from deployengine.packages.feeds import Feed, Found
from deployengine.packages.store import FULL, Progress, ignore

#: What stays: so long after its last use, and so many bytes of all, the last used first.
KEPT_FOR = timedelta(days=30)
KEPT_BYTES = 20 << 30
#: What was used so lately that somebody may be about to read it.
_IN_USE = timedelta(hours=1)
_LONGEST_DOWNLOAD = timedelta(days=1)


class PackageCache:
    """Brings packages, each once, however many threads and processes ask for it at once."""

    def __init__(
        self,
        folder: Path,
        limits: Limits = LIMITS,
        kept_for: timedelta = KEPT_FOR,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._kept_for = kept_for.total_seconds()
        self._kept_bytes = kept_bytes

    def look_up(self, feed: Feed, name: str, version: str, progress: Progress = ignore) -> Package:
        """What the feed has now under this name and version; it is brought for that.

        Unless it was brought before, and the feed says that it is the same file. Raises
        ``PackageError``.
        """
        found = feed.find(name, version)
        with self._alone(feed, found):
            known = self._known(feed, found)
            if known is not None and self.archive(known.digest) is not None:
                return known
            return self._bring(feed, found, name, version, progress)

    def ensure(self, package: Package, feed: Feed, progress: Progress = ignore) -> Path:
        """The archive of a package that a release has frozen, brought unless it is here.

        Raises ``PackageError``; :class:`PackageChanged` where the feed has something else now.
        """
        if there := self.archive(package.digest):
            return there
        found = feed.find(package.name, package.version)
        with self._alone(feed, found):
            if there := self.archive(package.digest):
                return there
            brought = self._bring(feed, found, package.name, package.version, progress)
        there = self.archive(package.digest)
        if brought.sha256 != package.sha256 or there is None:
            raise PackageChanged(
                f"{package} has the SHA-256 {brought.sha256} now, and the release was made of "
                f"{package.sha256}",
                f"{feed.url}/{found.path}",
                "publish the old file again, or make a new release",
            )
        return there

    def archive(self, digest: str) -> Path | None:
        """The archive with this digest, if it is here; it counts as used now."""
        path = self._folder / "archives" / digest
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def suspect(self, digest: str) -> None:
        """Looks whether an archive is damaged, as it came so to a machine; then it goes."""
        path = self._folder / "archives" / digest
        try:
            sound = canonical.digest_of(path) == digest
        except FileNotFoundError:
            return
        except (OSError, EOFError, zlib.error):
            sound = False
        if not sound:
            path.unlink(missing_ok=True)

    def prune(self) -> None:
        """Removes what was not used for long and, while there is too much, the longest unused."""
        now = time.time()
        found = []
        for path in self._made("archives").iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        kept = 0
        for used, size, path in sorted(found, reverse=True):
            kept += size
            unused = now - used
            old = unused > self._kept_for or kept > self._kept_bytes
            if old and unused > _IN_USE.total_seconds():
                path.unlink(missing_ok=True)
        for scratch in self._made("new").iterdir():  # of a process that was killed
            with suppress(FileNotFoundError):
                if now - scratch.stat().st_mtime > _LONGEST_DOWNLOAD.total_seconds():
                    shutil.rmtree(scratch)

    def _bring(
        self, feed: Feed, found: Found, name: str, version: str, progress: Progress
    ) -> Package:
        self.prune()
        with self._room(), tempfile.TemporaryDirectory(dir=self._made("new")) as scratch:
            source, archive = Path(scratch, "source"), Path(scratch, "archive")
            feed.fetch(found, source, self._bounded(found, progress))
            sha256 = _sha256(source)
            digest = repack(source, found.file, archive, self._limits)
            size = source.stat().st_size
            package = Package(name, version, feed.name, found.file, size, sha256, digest)
            archive.rename(self._made("archives") / digest)
            self._remember(feed, found, package, Path(scratch, "known"))
        return package

    def _bounded(self, found: Found, progress: Progress) -> Progress:
        """Ends a download that is too large or has no end."""

        def told(done: int, whole: int | None) -> None:
            if max(done, whole or 0) > self._limits.packed:
                message = f"the package has more than {self._limits.packed} bytes"
                raise TooLarge(message, found.path)
            progress(done, whole)

        return told

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                advice = "make room on its disk"
                raise NoRoom(
                    "there is no room for the package", str(self._folder), advice
                ) from error
            raise

    @contextmanager
    def _alone(self, feed: Feed, found: Found) -> Iterator[None]:
        with locked(self._made("locks") / _key(feed, found)):
            yield

    def _known(self, feed: Feed, found: Found) -> Package | None:
        if found.stamp is None:
            return None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            path = self._folder / "sources" / _key(feed, found)
            document = json.loads(path.read_text("utf-8"))
            if document.pop("stamp") == found.stamp:
                return Package.from_document({**document, "feed": feed.name})
        return None

    def _remember(self, feed: Feed, found: Found, package: Package, scratch: Path) -> None:
        document = {**package.to_document(), "stamp": found.stamp}
        scratch.write_text(json.dumps(document), "utf-8")
        scratch.rename(self._made("sources") / _key(feed, found))

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(0o700, parents=True, exist_ok=True)
        return folder


def _key(feed: Feed, found: Found) -> str:
    return hashlib.sha256(f"{feed.url}\n{found.path}".encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
