"""The audit trail: who changed what, in a chain that shows when it was tampered with.

An event never changes. Its entry in the trail holds a hash over its number, its content and the
hash of the entry before it, so none can be changed, taken out, put in or moved without the hashes
telling. What no chain can show is that its end was cut off: keep the hash of the latest entry
somewhere else, and ask whether it is still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

#: What comes before the first entry.
GENESIS = "0" * 64


class Action(StrEnum):
    """Everything that is put on record, by what it is done to."""

    CATALOG_APPLY = "catalog.apply"
    RELEASE_CREATE = "release.create"
    RELEASE_DEPLOY = "release.deploy"
    RELEASE_ROLLBACK = "release.rollback"
    RELEASE_REFRESH = "release.refresh"
    RELEASE_BLOCK = "release.block"
    RELEASE_UNBLOCK = "release.unblock"
    DEPLOYMENT_RETRY = "deployment.retry"
    DEPLOYMENT_CANCEL = "deployment.cancel"
    DEPLOYMENT_TOP = "deployment.top"
    DEPLOYMENT_PRIORITISE = "deployment.prioritise"
    RUN_CANCEL = "run.cancel"
    FREEZE_OVERRIDE = "freeze.override"
    BATCH_RUN = "batch.run"
    BATCH_CANCEL = "batch.cancel"
    ANSWER_SUCCEEDED = "answer.succeeded"
    ANSWER_FAILED = "answer.failed"
    ANSWER_RERUN = "answer.rerun"
    ANSWER_PROCEED = "answer.proceed"
    ANSWER_ABORT = "answer.abort"
    ANSWER_RETRY = "answer.retry"
    ANSWER_IGNORE = "answer.ignore"
    ANSWER_EXCLUDE = "answer.exclude"
    ANSWER_FAIL = "answer.fail"
    MACHINE_ENABLE = "machine.enable"
    MACHINE_DRAIN = "machine.drain"
    MACHINE_DISABLE = "machine.disable"
    MACHINE_CATCH_UP = "machine.catch-up"
    MACHINE_TRUST = "machine.trust"
    MACHINE_DISTRUST = "machine.distrust"
    MUTEX_BYPASS = "mutex.bypass"
    RETENTION_APPLY = "retention.apply"
    SECRETS_ROTATE = "secrets.rotate"


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what to what, and why; ``before`` and ``after`` say what it changed."""

    at: datetime
    who: str
    action: str
    subject: str
    reason: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its place; ``None`` stands for one that cannot be read any more."""

    id: int
    event: Event | None
    hash: str


class Flaw(StrEnum):
    """What is wrong with a trail."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry that is wrong, or where it should be."""

    id: int
    flaw: Flaw
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What looking at a trail came to: how many entries are right, and the hash of the last one.

    ``broken`` ``None``: all of them are. ``kept``: the hash that was asked for is among theirs.
    """

    entries: int
    head: str
    broken: Break | None
    kept: bool


def digest(before: str, number: int, event: Event) -> str:
    """The hash of an entry that comes after one with the hash ``before``; hexadecimal."""
    content = {
        "previous": before,
        "id": number,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "who": event.who,
        "action": event.action,
        "subject": event.subject,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def entries(events: Iterable[Event], last: int = 0, head: str = GENESIS) -> Iterator[Entry]:
    """The entries of new events after the last one there is."""
    for number, event in enumerate(events, last + 1):
        head = digest(head, number, event)
        yield Entry(number, event, head)


def verify(trail: Iterable[Entry], expected: str | None = None) -> Verdict:
    """Goes through a trail in order, up to the first entry that is wrong.

    ``expected`` is the hash that the latest entry had when somebody looked earlier.
    """
    before, last = Entry(-1, None, ""), Entry(0, None, GENESIS)
    kept = expected is None
    rest = iter(trail)
    for entry in rest:
        if entry.id != last.id + 1 or _hash(last.hash, entry) != entry.hash:
            broken = _diagnose(before, last, entry, next(rest, None))
            return Verdict(last.id, last.hash, broken, kept)
        before, last = last, entry
        kept = kept or entry.hash == expected
    return Verdict(last.id, last.hash, None, kept)


def _hash(before: str, entry: Entry, number: int | None = None) -> str | None:
    if entry.event is None:
        return None
    return digest(before, entry.id if number is None else number, entry.event)


def _diagnose(before: Entry, last: Entry, entry: Entry, following: Entry | None) -> Break:
    """What may have been done, by what the neighbours of the wrong entry say."""
    due = last.id + 1
    if entry.id > due:
        missing = (
            f"event {due} is" if entry.id == due + 1 else f"events {due} to {entry.id - 1} are"
        )
        return Break(due, Flaw.MISSING, f"{missing} missing")
    if entry.id < due:
        return Break(entry.id, Flaw.INSERTED, f"event {entry.id} was put in: the first is event 1")
    if entry.event is None:
        return Break(due, Flaw.CHANGED, f"event {due} was changed: it cannot be read any more")
    if last.id and _hash(before.hash, entry, last.id) == entry.hash:
        said = f"event {last.id} was put in: event {due} had its number and its place"
        return Break(last.id, Flaw.INSERTED, said)
    if following and _hash(_hash(last.hash, entry) or "", following) == following.hash:
        said = f"the hash of event {due} was changed, its content was not"
        return Break(due, Flaw.CHANGED, said)
    said = f"event {due} was changed after it was written"
    if last.id:
        said += f", or event {last.id} was, together with its hash"
    return Break(due, Flaw.CHANGED, said)
