"""The files of a package that hold what differs from place to place, with the values in them.

They are worked out on the worker, for each machine, and go to the machine with its run, since there
may be secrets in them. The archive that is brought to all machines has them as they were packed.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deployengine.domain.errors import RequestError
from deployengine.domain.insertion import Plain, expand, insert
from deployengine.packages import canonical, globs
from deployengine.packages.errors import Unconfigurable
from deployengine.packages.settings.formats import Unreadable, format_of
from deployengine.packages.settings.spots import Path as SettingPath
from deployengine.packages.settings.spots import path_of

#: The largest file that values are put into, and all of them together: bytes.
LARGEST = 2 << 20
LARGEST_OF_ALL = 16 << 20

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files: those with ``#{…}`` in them, and those with settings by path; as patterns."""

    substitute: Sequence[str] = ()
    settings: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.substitute or self.settings)


@dataclass(frozen=True, slots=True)
class ConfiguredFile:
    """A file with its values in it, and the permissions that it has in the package."""

    path: str
    mode: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files of a package that come out otherwise than they were packed.

    ``unmatched`` are patterns that no file matches; ``secrets`` went into the files.
    """

    files: tuple[ConfiguredFile, ...] = ()
    unmatched: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def configure(
    archive: Path, package: str, wanted: Wanted, values: Mapping[str, Plain]
) -> Configuration:
    """The configuration files of an archive with these values, which are by ``key`` of their names.

    Raises :class:`Unconfigurable` with the file, and nothing of a value.
    """
    writer = _Writer(package, wanted, values)
    with canonical.reading(archive) as entries:
        files = tuple(writer.files(entries))
    patterns = (*wanted.substitute, *wanted.settings)
    unmatched = tuple(dict.fromkeys(p for p in patterns if p not in writer.matched))
    return Configuration(files, unmatched, frozenset(writer.secrets))


class _Writer:
    def __init__(self, package: str, wanted: Wanted, values: Mapping[str, Plain]) -> None:
        self._package = package
        self._wanted = wanted
        self._values = values
        self._by_path = _by_path(plain.name for plain in values.values())
        self._size = 0
        self.matched: set[str] = set()
        self.secrets: set[str] = set()

    def files(self, entries: tarfile.TarFile) -> Iterator[ConfiguredFile]:
        for entry in entries:
            if not entry.isreg():
                continue
            changes = list(self._changes(entry.name))
            if not changes:
                continue
            self._check_size(entry)
            content = entries.extractfile(entry)
            packed = content.read() if content else b""
            text = self._text(entry.name, packed)
            for change in changes:
                text = change(text)
            if (new := text.encode(errors="surrogateescape")) != packed:
                yield ConfiguredFile(entry.name, entry.mode, new)

    def _changes(self, path: str) -> Iterator[Callable[[str], str]]:
        substitute, settings = (
            [pattern for pattern in patterns if globs.matches(path, pattern)]
            for patterns in (self._wanted.substitute, self._wanted.settings)
        )
        self.matched |= {*substitute, *settings}
        if substitute:
            yield partial(self._substituted, path)
        if settings:
            yield partial(self._set, path)

    def _substituted(self, path: str, text: str) -> str:
        try:
            inserted = insert(text, self._values)
        except RequestError as error:
            raise self._wrong(path, str(error)) from error
        self.secrets |= inserted.secrets
        return inserted.text

    def _set(self, path: str, text: str) -> str:
        change = format_of(path)
        if change is None:
            what = "settings go into files that end with .json, .yaml, .yml, .toml or .env"
            raise self._wrong(path, what, "put it under substitute, with #{…} in the file")
        mark = _MARK if text.startswith(_MARK) else ""
        values = {
            where: partial(self._value, path, names) for where, names in self._by_path.items()
        }
        try:
            return mark + change(text.removeprefix(mark), values)
        except Unreadable as error:
            raise self._wrong(path, str(error)) from error

    def _value(self, path: str, names: Sequence[str]) -> str:
        if len(names) > 1:
            what = f"variables {' and '.join(names)} mean the same place in it"
            raise self._wrong(path, what, "remove one of them")
        try:
            inserted = expand(names[0], self._values)
        except RequestError as error:
            raise self._wrong(path, f"variable {names[0]}: {error}") from error
        self.secrets |= inserted.secrets
        return inserted.text

    def _check_size(self, entry: tarfile.TarInfo) -> None:
        self._size += entry.size
        if entry.size > LARGEST:
            raise self._wrong(entry.name, f"it has more than {LARGEST} bytes")
        if self._size > LARGEST_OF_ALL:
            what = f"it and the other files to be configured have more than {LARGEST_OF_ALL} bytes"
            raise self._wrong(entry.name, what)

    def _text(self, path: str, content: bytes) -> str:
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise self._wrong(path, "it is no text in UTF-8") from error
        if "\0" in text:
            raise self._wrong(path, "it is no text, as there is a NUL in it")
        return text

    def _wrong(self, path: str, what: str, advice: str | None = None) -> Unconfigurable:
        return Unconfigurable(what, f"{path} of {self._package}", advice)


def _by_path(names: Iterable[str]) -> dict[SettingPath, list[str]]:
    found: dict[SettingPath, list[str]] = {}
    for name in names:
        found.setdefault(path_of(name), []).append(name)
    return found
