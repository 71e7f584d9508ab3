"""Feeds: where packages are published."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deployengine.domain.package_layout import (
    extension_of,
    filled,
    is_package_name,
    version_by,
    version_of,
)
from deployengine.domain.package_versions import is_version
from deployengine.packages.errors import MissingExtra, NoSuchPackage, PackageError, VersionsUnknown
from deployengine.packages.store import FolderStore, Listed, Progress, Store


@dataclass(frozen=True, slots=True)
class Source:
    """What a catalog says of a feed; a folder that is not absolute starts at ``home``."""

    name: str
    url: str
    home: Path
    pattern: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    #: Seconds that a host may be silent.
    patience: float = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """A package in its feed: the path of its file there, and what the feed says of it."""

    path: str
    size: int | None
    stamp: str | None

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]


class Feed:
    """One feed; it asks nothing before it is asked. Raises ``PackageError`` for all that fails."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.url = source.url
        self._pattern = source.pattern
        self._store = _store(source)

    def find(self, name: str, version: str) -> Found:
        """The file of a package; raises :class:`NoSuchPackage`."""
        _check(name, version)
        if self._pattern:
            path = filled(self._pattern, name, version)
            return _found(path, self._store.look(path))
        found = self._in_folder(name, version) or self._in_own_folder(name, version)
        if not found:
            raise NoSuchPackage(f"feed {self.name} has no package {name} {version}", self.url)
        if len(found) > 1:
            files = ", ".join(each.path for each in found)
            raise PackageError(
                f"feed {self.name} has {name} {version} more than once: {files}",
                self.url,
                "leave one of them there, or give the feed a pattern",
            )
        if found[0].stamp is None:
            return _found(found[0].path, self._store.look(found[0].path))
        return found[0]

    def versions(self, name: str) -> list[str]:
        """All versions of a package that the feed has; raises :class:`VersionsUnknown`."""
        _check(name)
        found = self._by_pattern(name) if self._pattern else self._by_name(name)
        if found is None:
            raise VersionsUnknown(
                f"feed {self.name} can't tell which versions of {name} there are",
                self.url,
                f"say which one: --package {name}=VERSION",
            )
        return list(dict.fromkeys(found))

    def fetch(self, found: Found, into: Path, progress: Progress) -> None:
        """Brings a package here, whole; raises ``HalfAFile``, and ``OSError`` for a full disk."""
        self._store.fetch(found.path, into, progress)

    def _in_folder(self, name: str, version: str) -> list[Found]:
        listed = self._store.list("")
        if listed is None:
            raise PackageError(
                f"feed {self.name} does not tell what it has",
                self.url,
                "give it a pattern in the catalog, as pattern: '{name}.{version}.zip'",
            )
        return [
            _found(each.name, each)
            for each in listed
            if not each.is_folder and version_of(each.name, name) == version
        ]

    def _in_own_folder(self, name: str, version: str) -> list[Found]:
        folder = f"{name}/{version}"
        return [
            _found(f"{folder}/{each.name}", each)
            for each in self._store.list(folder) or ()
            if not each.is_folder and extension_of(each.name)
        ]

    def _by_name(self, name: str) -> list[str] | None:
        listed = self._store.list("")
        if listed is None:
            return None
        files = [version_of(each.name, name) for each in listed if not each.is_folder]
        folders = [each.name for each in self._store.list(name) or () if each.is_folder]
        return [each for each in (*files, *folders) if each and is_version(each)]

    def _by_pattern(self, name: str) -> list[str] | None:
        """By what is in the folder of the first part of the pattern that holds the version."""
        parts = self._pattern.split("/")
        index = next(i for i, part in enumerate(parts) if "{version}" in part)
        listed = self._store.list(filled("/".join(parts[:index]), name, ""))
        if listed is None:
            return None
        is_folder = index < len(parts) - 1
        found = (
            version_by(parts[index], name, each.name)
            for each in listed
            if each.is_folder == is_folder
        )
        return [version for version in found if version]


def _found(path: str, listed: Listed) -> Found:
    return Found(path, listed.size, listed.stamp)


def _check(name: str, version: str | None = None) -> None:
    """What becomes part of a path must not lead elsewhere."""
    if not is_package_name(name):
        raise PackageError(
            f"{name!r} is no name of a package", None, "use letters, digits and . _ + -"
        )
    if version is not None and not is_version(version):
        raise PackageError(
            f"{version!r} is no version of a package",
            None,
            "a version begins with a digit and has letters, digits and . + _ - (for example 1.4.0)",
        )


def _store(source: Source) -> Store:
    parts = urlsplit(source.url)
    if "@" in parts.netloc:
        raise PackageError(
            "a url holds no login, since it is shown",
            f"feed {source.name}",
            "give the feed a username and a password in the catalog",
        )
    if "://" not in source.url:
        return FolderStore(source.home / source.url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    try:
        from deployengine.packages.remote import Login, open_store
    except ImportError as error:  # it is an extra
        raise MissingExtra(
            f"feed {source.name} needs what is not installed",
            source.url,
            "pip install 'deployengine[packages]'",
        ) from error
    return open_store(source.url, Login(source.username, source.password, source.patience))
