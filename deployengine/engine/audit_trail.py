"""The audit trail for those who read it, and for those who check that nobody has touched it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from deployengine.domain.audit import Action, Entry, Verdict, verify
from deployengine.domain.errors import UnknownName
from deployengine.domain.identity import BadId, Kind, deployment_id, parse, run_id
from deployengine.engine.audit import machine_subject, release_subject
from deployengine.persistence import Database, Transaction

#: Entries that are read at once.
_PAGE = 500


#: What may have no entry yet.
_STANDING = ("catalog", "master key", "retention")


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
        """At most so many entries that match, the latest first.

        What is on record of a deployment's runs belongs to the deployment. Raises
        :class:`UnknownName` for a subject that there never was.
        """
        with self._database.read() as tx:
            subjects = None if subject is None else _subjects(tx, subject.strip())
            return tx.audit.latest(limit, subjects, who, action, since)

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


def _subjects(tx: Transaction, text: str) -> list[str]:
    """What entries about this are kept under."""
    try:
        kind, number = parse(text)
    except BadId:
        machines = [machine_subject(name) for name in tx.catalog.names("machine")]
        found, there = [text], text in (*_STANDING, *machines)
    else:
        found, there = _with_runs(tx, kind, number)
    if not there and not tx.audit.latest(1, found):
        raise UnknownName("subject", text, (*tx.audit.subjects(), *_STANDING))
    return found


def _with_runs(tx: Transaction, kind: Kind, number: int) -> tuple[list[str], bool]:
    """The subjects that an id stands for, and whether it is that of something."""
    match kind:
        case Kind.RELEASE:
            release = tx.releases.get(number)
            named = release_subject(release.project, release.version) if release else ""
            return [named], release is not None
        case Kind.DEPLOYMENT:
            runs = [run_id(run.id) for run in tx.runs.of_deployment(number)]
            return [deployment_id(number), *runs], tx.deployments.get(number) is not None
        case Kind.RUN:
            return [run_id(number)], tx.runs.get(number) is not None
