"""The trail in the tables: one line whoever writes, with the change or not at all, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy import event as events
from sqlalchemy.exc import DBAPIError, StatementError

from deployengine.domain.audit import GENESIS, Event, Flaw, verify
from deployengine.persistence import Database
from tests.persistence.conftest import NOW, Interrupted, add_release, at_once, interrupt, later

WRITERS = 8
EACH = 5


def event(subject: str = "release app 1.0", **more: Any) -> Event:
    return Event(NOW, "alice", "release.create", subject, **more)


def add(database: Database, *events: Event) -> None:
    with database.write() as tx:
        for each in events:
            tx.audit.add(each)


def subjects(database: Database, **filters: Any) -> list[str]:
    with database.read() as tx:
        found = tx.audit.latest(100, **filters)
    return [entry.event.subject for entry in found if entry.event]


@contextmanager
def unguarded(database: Database) -> Iterator[Connection]:
    """The tables as somebody has them who may do anything to them."""
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_event_unchanged"))
            connection.execute(text("DROP TRIGGER audit_event_kept"))
        else:
            connection.execute(text("DROP TRIGGER audit_event_kept ON audit_event"))
        yield connection


def test_an_event_is_read_as_it_was_written(database: Database) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    full = Event(
        NOW.astimezone(zone),
        "Zoë 🦊",
        "catalog.apply",
        "catalog",
        "why\nnot",
        {"a": [1, 2.5, None, True, "\x00 ü"]},
        {"b": {}},
    )
    add(database, full, event())
    with database.read() as tx:
        first, second = tx.audit.after(None, 10)
        assert tx.audit.get(2) == second
        assert tx.audit.get(3) is None
    assert (first.event, second.event) == (full, event())
    assert verify([first, second]).broken is None


def test_events_are_numbered_without_a_gap_also_after_one_that_was_given_up(
    database: Database,
) -> None:
    add(database, event("a"))
    with pytest.raises(Interrupted), database.write() as tx:
        interrupt(tx.audit.add(event("never")))
    add(database, event("b"), event("c"))
    with database.read() as tx:
        assert [entry.id for entry in tx.audit.after(None, 10)] == [1, 2, 3]
    assert subjects(database) == ["c", "b", "a"]


def test_there_is_no_event_without_its_change_and_no_change_without_its_event(
    database: Database,
) -> None:
    with pytest.raises(Interrupted), database.write() as tx:
        interrupt(tx.audit.add(event()), add_release(tx))
    with database.read() as tx:
        assert tx.releases.find("app", "1.0") is None
        assert tx.audit.after(None, 10) == []
    timeless = Event(NOW.replace(tzinfo=None), "alice", "release.create", "no time zone")
    with pytest.raises(StatementError), database.write() as tx:
        tx.audit.add(timeless if add_release(tx) else event())
    with database.read() as tx:
        assert tx.releases.find("app", "1.0") is None


def test_many_who_write_at_once_make_one_line(database: Database) -> None:
    other = Database(database.url)  # as another process has it: no lock of ours in common
    pool = [database, other]

    def write_some() -> None:
        mine = pool.pop() if pool else database
        for _ in range(EACH):
            add(mine, event(), event())

    at_once(WRITERS, write_some)
    other.close()
    with database.read() as tx:
        entries = tx.audit.after(None, 1000)
    assert [entry.id for entry in entries] == list(range(1, 2 * WRITERS * EACH + 1))
    assert verify(entries).broken is None


def test_who_writes_while_another_has_not_committed_comes_after_it(database: Database) -> None:
    """Each holds something that the other wants before it writes: nobody waits in a circle."""
    with database.write() as tx:
        tx.counters.draw("ticket")

    def ticket_and_event(number: int) -> None:
        with database.write() as tx:
            if number % 2:
                tx.audit.add(event())
                tx.counters.draw("ticket")
            else:
                tx.counters.draw("ticket")
                tx.audit.add(event())

    numbers = iter(range(WRITERS))
    at_once(WRITERS, lambda: ticket_and_event(next(numbers)))
    with database.read() as tx:
        assert verify(tx.audit.after(None, 100)).entries == WRITERS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET who = 'mallory' WHERE id = 1",
        "UPDATE audit_event SET hash = hash",
        "DELETE FROM audit_event WHERE id = 2",
        "DELETE FROM audit_event",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_what_is_on_record(
    database: Database, statement: str
) -> None:
    add(database, event("a"), event("b"))
    with (
        pytest.raises(DBAPIError, match="what is on record is never"),
        database.engine.begin() as connection,
    ):
        connection.execute(text(statement))
    assert subjects(database) == ["b", "a"]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)  # SQLite has no TRUNCATE
def test_what_is_on_record_cannot_be_emptied_at_one_stroke(database: Database) -> None:
    add(database, event("a"), event("b"))
    with (
        pytest.raises(DBAPIError, match="what is on record is never"),
        database.engine.begin() as connection,
    ):
        connection.execute(text("TRUNCATE audit_event CASCADE"))
    assert subjects(database) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "where", "flaw"),
    [
        ("UPDATE audit_event SET who = 'mallory' WHERE id = 2", 2, Flaw.CHANGED),
        ("UPDATE audit_event SET action = 'x' WHERE id = 1", 1, Flaw.CHANGED),
        ("UPDATE audit_event SET subject = 'x' WHERE id = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_event SET reason = NULL WHERE id = 2", 2, Flaw.CHANGED),
        ("UPDATE audit_event SET before = NULL WHERE id = 2", 2, Flaw.CHANGED),
        ("UPDATE audit_event SET after = '{\"a\": 2}' WHERE id = 2", 2, Flaw.CHANGED),
        ("UPDATE audit_event SET at = '2025-03-02 12:00:00.000000' WHERE id = 3", 3, Flaw.CHANGED),
        (f"UPDATE audit_event SET hash = '{GENESIS}' WHERE id = 2", 2, Flaw.CHANGED),
        ("DELETE FROM audit_event WHERE id = 1", 1, Flaw.MISSING),
        ("DELETE FROM audit_event WHERE id = 2", 2, Flaw.MISSING),
        ("UPDATE audit_event SET id = 9 WHERE id = 3", 3, Flaw.MISSING),
    ],
)
def test_what_somebody_does_past_that_is_found(
    database: Database, change: str, where: int, flaw: Flaw
) -> None:
    full = event(reason="so", before={"a": 0}, after={"a": 1})
    add(database, full, full, full)
    with unguarded(database) as connection:
        connection.execute(text(change))
    with database.read() as tx:
        broken = verify(tx.audit.after(None, 10)).broken
    assert broken is not None
    assert (broken.id, broken.flaw) == (where, flaw)


@pytest.mark.parametrize("column", ["at", "before", "after", "who"])
def test_what_cannot_be_read_any_more_was_changed(embedded: Database, column: str) -> None:
    add(embedded, event(before={"a": 0}, after={"a": 1}), event())
    with unguarded(embedded) as connection:
        connection.execute(text(f"UPDATE audit_event SET {column} = x'7b5b' WHERE id = 1"))
    with embedded.read() as tx:
        entries = tx.audit.latest(10)
    assert [entry.event for entry in entries] == [event(), None], "the others still can"
    broken = verify(reversed(entries)).broken
    assert broken is not None
    assert (broken.id, broken.flaw) == (1, Flaw.CHANGED)


def test_events_are_found_by_subject_person_action_and_time(database: Database) -> None:
    add(
        database,
        Event(later(0), "alice", "release.create", "release app 1.0"),
        Event(later(1), "bob", "deployment.cancel", "dep-1"),
        Event(later(2), "alice", "deployment.cancel", "dep-2"),
    )
    assert subjects(database, who="alice") == ["dep-2", "release app 1.0"]
    assert subjects(database, action="deployment.cancel") == ["dep-2", "dep-1"]
    assert subjects(database, subjects=["dep-1"]) == ["dep-1"]
    assert subjects(database, since=later(1)) == ["dep-2", "dep-1"]
    assert subjects(database, who="alice", since=later(1)) == ["dep-2"]
    with database.read() as tx:
        assert [entry.id for entry in tx.audit.latest(2)] == [3, 2]
        assert [entry.id for entry in tx.audit.after(1, 1)] == [2]


def test_a_transaction_that_puts_nothing_on_record_asks_nothing_more(database: Database) -> None:
    sent: list[str] = []
    events.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, *_: sent.append(statement),
    )
    with database.write() as tx:
        tx.counters.draw("ticket")
    quiet = len(sent)
    with database.write() as tx:
        tx.counters.draw("ticket")
        for _ in range(50):
            tx.audit.add(event())
    assert not any("audit_event" in statement for statement in sent[:quiet])
    assert len(sent) - 2 * quiet <= 3, "the lock, the last one, and all of them at once"
