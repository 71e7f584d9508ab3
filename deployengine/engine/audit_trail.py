"""The audit trail for those who read it, and for those who check that nobody has touched it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from deployengine.domain.audit import Action, Entry, Verdict, verify
from deployengine.domain.errors import UnknownName
from deployengine.persistence import Database

#: Entries that are read at once.
_PAGE = 500


class AuditTrail:
    """What is on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(
        self,
        limit: int,
        *,
        subject: str | None = None,
        who: str | None = None,
        action: Action | None = None,
        since: datetime | None = None,
    ) -> list[Entry]:
        """At most so many entries that match, the latest first."""
        with self._database.read() as tx:
            return tx.audit.latest(limit, subject, who, action, since)

    def get(self, number: int) -> Entry:
        """One entry; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            entry = tx.audit.get(number)
        if entry is None:
            raise UnknownName("event", str(number))
        return entry

    def verify(
        self, expected: str | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> Verdict:
        """Goes through all of it; ``progress`` is told how many entries were read.

        ``expected`` is the hash of the latest entry at some earlier time.
        """
        return verify(self._all(progress), expected)

    def _all(self, progress: Callable[[int], None]) -> Iterator[Entry]:
        last, read = None, 0
        while True:
            with self._database.read() as tx:
                page = tx.audit.after(last, _PAGE)
            yield from page
            read += len(page)
            progress(read)
            if len(page) < _PAGE:
                return
            last = page[-1].id
