"""The chain: whatever is done to what is on record, it shows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.audit import (
    GENESIS,
    Entry,
    Event,
    Flaw,
    digest,
    entries,
    verify,
)

NOW = datetime(2025, 3, 1, 12, 0, 0, 123456, UTC)

_TEXTS = st.text(max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=3,
)
_DOCUMENTS = st.none() | st.dictionaries(_TEXTS, _VALUES, max_size=3)
_EVENTS = st.builds(
    Event,
    at=st.integers(0, 10**12).map(lambda n: NOW + timedelta(microseconds=n)),
    who=_TEXTS,
    action=_TEXTS,
    subject=_TEXTS,
    reason=st.none() | _TEXTS,
    before=_DOCUMENTS,
    after=_DOCUMENTS,
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "at": st.integers(1, 10**9).map(lambda n: NOW - timedelta(microseconds=n)),
    "who": _TEXTS,
    "action": _TEXTS,
    "subject": _TEXTS,
    "reason": st.none() | _TEXTS,
    "before": _DOCUMENTS,
    "after": _DOCUMENTS,
}
TRAILS = st.lists(_EVENTS, min_size=1, max_size=5).map(lambda events: list(entries(events)))


def event(number: int, **more: Any) -> Event:
    return Event(NOW, "alice", "release.create", f"release app 1.{number}", **more)


def trail(length: int = 5) -> list[Entry]:
    return list(entries(event(number) for number in range(length)))


def changed(entry: Entry, **more: Any) -> Entry:
    assert entry.event is not None
    return replace(entry, event=replace(entry.event, **more))


def same(value: Any) -> str:
    """Equal for what means the same; ``True`` is not 1 here."""
    return json.dumps(value, sort_keys=True, default=str)


def renumbered(some: list[Entry]) -> list[Entry]:
    return [replace(entry, id=number) for number, entry in enumerate(some, 1)]


def found(some: list[Entry]) -> tuple[int, Flaw]:
    broken = verify(some).broken
    assert broken is not None
    assert str(broken.id) in broken.said
    return broken.id, broken.flaw


@given(TRAILS)
def test_a_trail_that_nobody_touched_is_right(some: list[Entry]) -> None:
    verdict = verify(some)
    assert (verdict.entries, verdict.head, verdict.broken) == (len(some), some[-1].hash, None)


@given(TRAILS, st.data())
def test_any_change_of_any_field_of_any_entry_is_found(some: list[Entry], data: Any) -> None:
    at = data.draw(st.integers(0, len(some) - 1))
    field = data.draw(st.sampled_from([*_FIELDS, "id", "hash"]))
    entry = some[at]
    if field == "id":
        some[at] = replace(entry, id=data.draw(st.integers().filter(lambda n: n != entry.id)))
        some.sort(key=lambda each: each.id)
    elif field == "hash":
        other = data.draw(st.sampled_from([each.hash for each in some] + [GENESIS, "", "0"]))
        some[at] = replace(entry, hash=other if other != entry.hash else "f" * 64)
    else:
        there = getattr(entry.event, field)
        value = data.draw(_FIELDS[field].filter(lambda v: same(v) != same(there)))
        some[at] = changed(entry, **{field: value})
    assert verify(some).broken is not None


@given(TRAILS, st.data())
def test_any_entry_taken_out_is_found_but_for_the_last(some: list[Entry], data: Any) -> None:
    head = some[-1].hash
    at = data.draw(st.integers(0, len(some) - 1))
    close_ranks = data.draw(st.booleans())
    del some[at]
    if at == len(some):
        assert verify(some).broken is None, "that the end is cut off no chain can show"
        assert not verify(some, expected=head).kept
    else:
        assert verify(renumbered(some) if close_ranks else some).broken is not None


@given(TRAILS.filter(lambda some: len(some) > 1), st.data())
def test_any_two_entries_that_are_swapped_are_found(some: list[Entry], data: Any) -> None:
    places = st.lists(st.integers(0, len(some) - 1), min_size=2, max_size=2, unique=True)
    one, other = data.draw(places)
    some[one], some[other] = some[other], some[one]
    assert verify(renumbered(some)).broken is not None


@given(TRAILS, st.data())
def test_any_entry_put_in_before_another_is_found(some: list[Entry], data: Any) -> None:
    at = data.draw(st.integers(0, len(some) - 1))
    head = some[at - 1].hash if at else GENESIS
    (new,) = entries([data.draw(_EVENTS)], at, head)
    some.insert(at, new)
    assert verify(renumbered(some)).broken is not None


def test_a_changed_content_is_told_by_its_number() -> None:
    some = trail()
    some[2] = changed(some[2], who="mallory")
    assert found(some) == (3, Flaw.CHANGED)
    assert verify(some).entries == 2, "those before it are right"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", NOW + timedelta(microseconds=1)),
        ("who", "mallory"),
        ("action", "release.block"),
        ("subject", "release app 2"),
        ("reason", "none of your business"),
        ("before", {}),
        ("after", {"digest": "x"}),
    ],
)
def test_the_hash_of_an_entry_is_over_each_field(field: str, value: Any) -> None:
    some = trail()
    some[2] = changed(some[2], **{field: value})
    assert found(some) == (3, Flaw.CHANGED)


def test_a_changed_hash_is_told_as_such() -> None:
    some = trail()
    some[2] = replace(some[2], hash="f" * 64)
    assert found(some) == (3, Flaw.CHANGED)
    broken = verify(some).broken
    assert broken is not None
    assert broken.said == "the hash of event 3 was changed, its content was not"


def test_who_makes_a_new_hash_as_well_is_found_at_the_next_one() -> None:
    some = trail()
    forged = event(9)
    some[2] = Entry(3, forged, digest(some[1].hash, 3, forged))
    assert found(some) == (4, Flaw.CHANGED)
    broken = verify(some).broken
    assert broken is not None
    assert "or event 3 was, together with its hash" in broken.said


@pytest.mark.parametrize(
    ("gone", "said"),
    [(slice(2, 3), "event 3 is missing"), (slice(1, 3), "events 2 to 3 are missing")],
)
def test_missing_entries_are_told_by_their_numbers(gone: slice, said: str) -> None:
    some = trail()
    del some[gone]
    broken = verify(some).broken
    assert broken is not None
    assert (broken.flaw, broken.said) == (Flaw.MISSING, said)


def test_an_entry_that_was_put_in_is_told_although_the_others_moved_up() -> None:
    some = trail()
    (new,) = entries([event(9)], 2, some[1].hash)
    some.insert(2, new)
    assert found(renumbered(some)) == (3, Flaw.INSERTED)


def test_an_entry_that_cannot_be_read_any_more_was_changed() -> None:
    some = trail()
    some[2] = replace(some[2], event=None)
    assert found(some) == (3, Flaw.CHANGED)


def test_a_head_that_was_kept_is_found_again_when_more_has_come() -> None:
    some = trail()
    assert verify(some, expected=some[2].hash).kept
    assert verify(some, expected=some[-1].hash).kept
    assert not verify(some[:2], expected=some[2].hash).kept


def test_who_makes_the_whole_chain_anew_is_found_by_the_head_alone() -> None:
    head = trail()[-1].hash
    forged = list(entries([event(9), *(event(number) for number in range(1, 5))]))
    assert verify(forged).broken is None
    assert not verify(forged, expected=head).kept


def test_nothing_on_record_is_right() -> None:
    verdict = verify([])
    assert (verdict.entries, verdict.head, verdict.broken) == (0, GENESIS, None)


def test_what_stands_in_one_place_is_not_what_stands_in_another() -> None:
    places = (event(1, before={"a": 1}), event(1, after={"a": 1}), event(1, reason="a"))
    assert len({digest(GENESIS, 1, each) for each in places}) == 3
