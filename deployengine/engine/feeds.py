"""Feeds as today's catalog has them, with the secrets that they take.

What a release is made of was frozen with it, by checksum. Where that comes from was not: a feed
that moved, or got another login, is asked where it is now.
"""

from __future__ import annotations

from pathlib import Path

from deployengine.domain.planning import Unseal
from deployengine.engine.secret_references import secret_of
from deployengine.packages.errors import LoginRefused
from deployengine.packages.feeds import Feed, Source
from deployengine.persistence import Database, Transaction


class Feeds:
    """Opens feeds; the folders of those that are folders start at the home."""

    def __init__(self, database: Database, unseal: Unseal, home: Path) -> None:
        self._database = database
        self._unseal = unseal
        self._home = home

    def open(self, name: str) -> Feed:
        """A feed that nothing was asked of yet.

        Raises ``UnknownName``, and ``PackageError`` where it cannot be asked as it is.
        """
        with self._database.read() as tx:
            document = tx.catalog.get("feed", name)
            password = self._password(tx, name, document.get("password"))
        source = Source(
            name,
            document["url"],
            self._home,
            document.get("pattern", ""),
            document.get("username", ""),
            password,
        )
        return Feed(source)

    def _password(self, tx: Transaction, feed: str, said: dict[str, str] | None) -> str:
        if said is None:
            return ""
        found = secret_of(tx, self._unseal, said["set"], said["variable"])
        if found is None:
            raise LoginRefused(
                f"variable {said['variable']!r} of set {said['set']!r}, which is the password of "
                f"feed {feed}, has no value that applies everywhere",
                None,
                "give it one in the catalog",
            )
        return found
