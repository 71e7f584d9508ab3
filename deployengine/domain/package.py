"""Packages: what a release is made of beside its process, frozen by name, version and content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Package:
    """A package as a release froze it.

    ``file`` is its name in the feed, ``size`` counts its bytes and ``sha256`` is of them.
    ``digest`` is the SHA-256 of the tar that the engine makes of what is in it: by that machines
    know it, however it was packed. Both are hexadecimal.
    """

    name: str
    version: str
    feed: str
    file: str
    size: int
    sha256: str
    digest: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Package:
        """The package that a stored document describes."""
        return cls(**document)

    def to_document(self) -> dict[str, Any]:
        """The inverse of :meth:`from_document`."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
