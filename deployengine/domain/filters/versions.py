"""Filters that take a version apart: up to four numbers, a pre-release and metadata."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from deployengine.domain.filters.contract import Change, Filter, Unfit

_NUMBERS = re.compile(r"\s*(?:[vV]?\s*(?P<numbers>\d+(?:\s*\.\s*\d+){0,3})\s*)?")
_REST = re.compile(r"(?P<pre>[A-Za-z0-9._\\-]*)(?:\+(?P<meta>[A-Za-z0-9._\\+-]*))?\s*")
_SEPARATOR = r"[._\\-]"

#: No number of a version has more digits.
_LONGEST = 10


@dataclass(frozen=True, slots=True)
class _Version:
    """``1.2.3.4-beta.7+build``; what is left out is 0 or empty."""

    numbers: tuple[int, int, int, int]
    pre: str
    metadata: str

    @property
    def prefix(self) -> str:
        return re.split(_SEPARATOR, self.pre, maxsplit=1)[0]

    @property
    def counter(self) -> str:
        return self.pre[len(self.prefix) + 1 :]


def _version(text: str) -> _Version:
    begin = _NUMBERS.match(text)
    rest = _REST.fullmatch(text, begin.end()) if begin else None
    if begin is None or rest is None or not text.strip():
        raise Unfit("it is no version")
    numbers = (begin["numbers"] or "0").split(".")
    if max(map(len, numbers)) > _LONGEST:
        raise Unfit("a number of its version is too large")
    major, minor, patch, revision = [*map(int, numbers), 0, 0, 0][:4]
    pre = re.sub(f"^{_SEPARATOR}", "", rest["pre"])
    return _Version((major, minor, patch, revision), pre, rest["meta"] or "")


def _part(of: Callable[[_Version], object]) -> Callable[[], Change]:
    return lambda: lambda text: str(of(_version(text)))


FILTERS = (
    Filter("VersionMajor", "", _part(lambda version: version.numbers[0])),
    Filter("VersionMinor", "", _part(lambda version: version.numbers[1])),
    Filter("VersionPatch", "", _part(lambda version: version.numbers[2])),
    Filter("VersionRevision", "", _part(lambda version: version.numbers[3])),
    Filter("VersionPreRelease", "", _part(lambda version: version.pre)),
    Filter("VersionPreReleasePrefix", "", _part(lambda version: version.prefix)),
    Filter("VersionPreReleaseCounter", "", _part(lambda version: version.counter)),
    Filter("VersionMetadata", "", _part(lambda version: version.metadata)),
)
