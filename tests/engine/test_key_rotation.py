"""Changing master keys: all that is stored is sealed anew, whoever works or is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert, select, update

from deployengine.domain.sealed_documents import sealed_values
from deployengine.domain.variables import Sealed
from deployengine.engine.fingerprint_key import fingerprint_key
from deployengine.engine.key_rotation import KeyRotation, KeyUse
from deployengine.persistence import Database, sqlite_url
from deployengine.persistence.schema import catalog_item, setting_value, snapshot
from deployengine.persistence.tables import prepare
from deployengine.sealing import KeyRing, SecretBox, key_id

OLD, NEW, OTHER = (Fernet.generate_key() for _ in range(3))
SECRET = "wholly-5ecret"


class Interrupted(Exception):
    """What a rotation is ended by in these tests."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "deployengine.db")
    else:
        url = request.getfixturevalue("postgres_server").create_database()
    database = Database(url)
    prepare(database)
    yield database
    database.close()


def box(database: Database, *keys: bytes) -> SecretBox:
    ring = ring_of(*keys)
    return SecretBox(ring, fingerprint_key(database, ring))


def ring_of(*keys: bytes) -> KeyRing:
    return KeyRing(lambda: keys)


def store(database: Database, box: SecretBox, many: int = 1) -> None:
    """So many snapshots and projects with two secrets each."""
    with database.engine.begin() as connection:
        for number in range(many):
            values = [{"value": box.seal(f"{SECRET}-{number}-{n}")} for n in range(2)]
            document = {"variables": values, "note": "cipher, mac"}
            connection.execute(insert(snapshot).values(digest="0", document=document))
            row = {"kind": "project", "name": f"app-{number}", "position": number}
            connection.execute(insert(catalog_item).values(**row, document=document))


def stored(database: Database) -> list[Sealed]:
    with database.engine.connect() as connection:
        columns = (catalog_item.c.document, snapshot.c.document, setting_value.c.value)
        documents = [d for column in columns for d in connection.execute(select(column)).scalars()]
    return [value for document in documents for value in sealed_values(document)]


def uses(database: Database, *keys: bytes) -> list[KeyUse]:
    return KeyRotation(database, ring_of(*keys)).uses()


def rotate(database: Database, *keys: bytes) -> int:
    return KeyRotation(database, ring_of(*keys)).seal_anew(lambda _: None)


def test_every_stored_value_is_sealed_with_the_new_key_and_keeps_its_fingerprint(
    database: Database,
) -> None:
    store(database, box(database, OLD), 3)
    before = stored(database)

    assert rotate(database, NEW, OLD) == len(before) == 13

    after = stored(database)
    assert {value.key_id for value in after} == {key_id(NEW)}
    assert [value.mac for value in after] == [value.mac for value in before]
    texts = [box(database, NEW).unseal(value) for value in after]
    assert texts[:2] == [f"{SECRET}-0-0", f"{SECRET}-0-1"]


def test_a_fingerprint_is_the_same_before_and_after_and_on_new_keys(database: Database) -> None:
    before = box(database, OLD).fingerprint(SECRET)
    rotate(database, NEW, OLD)
    assert box(database, NEW).fingerprint(SECRET) == before
    assert box(database, OTHER, NEW).fingerprint(SECRET) == before


def test_the_fingerprints_of_an_installation_from_before_stay_as_they_are(
    database: Database,
) -> None:
    # Then they were made with a key derived from the only master key, and values had no key id.
    value = SecretBox.of([OLD]).seal(SECRET)
    del value["key_id"]
    with database.engine.begin() as connection:
        document = {"variables": [{"value": value}]}
        connection.execute(insert(snapshot).values(digest="0", document=document))

    assert box(database, NEW, OLD).fingerprint(SECRET) == value["mac"]
    rotate(database, NEW, OLD)
    assert box(database, NEW).fingerprint(SECRET) == value["mac"]


def test_several_who_begin_at_once_agree_on_one_fingerprint_key(database: Database) -> None:
    barrier = threading.Barrier(4)
    made: list[bytes | None] = []

    def begin(key: bytes) -> None:
        ring = ring_of(key, OLD, NEW)
        barrier.wait()
        made.append(fingerprint_key(database, ring))

    threads = [threading.Thread(target=begin, args=(key,)) for key in (OLD, NEW, OLD, NEW)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_a_rotation_that_is_interrupted_is_gone_on_with(database: Database) -> None:
    store(database, box(database, OLD), 60)

    def interrupt(done: int) -> None:
        if done >= 100:
            raise Interrupted

    with pytest.raises(Interrupted):
        KeyRotation(database, ring_of(NEW, OLD)).seal_anew(interrupt)
    half = {value.key_id for value in stored(database)}
    assert half == {key_id(OLD), key_id(NEW)}
    assert all(box(database, NEW, OLD).unseal(value) for value in stored(database))

    rest = rotate(database, NEW, OLD)

    assert 0 < rest < 241
    assert {value.key_id for value in stored(database)} == {key_id(NEW)}
    assert rotate(database, NEW, OLD) == 0


def test_a_transaction_seals_few_rows_anew(database: Database) -> None:
    store(database, box(database, OLD), 120)
    told: list[int] = []
    KeyRotation(database, ring_of(NEW, OLD)).seal_anew(told.append)
    steps = [after - before for before, after in zip([0, *told], told, strict=False)]
    assert max(steps) == 100  # fifty rows with two values each
    assert told[-1] == 481


def test_what_is_stored_meanwhile_is_found_in_a_further_pass(database: Database) -> None:
    old = box(database, OLD)
    store(database, old, 1)
    late: list[str] = []

    def meanwhile(_done: int) -> None:
        if not late:
            late.append("stored")
            with database.engine.begin() as connection:
                document = {"value": old.seal("late")}
                connection.execute(insert(snapshot).values(digest="0", document=document))
                row = {"kind": "a", "name": "first of all", "position": 9, "document": document}
                connection.execute(insert(catalog_item).values(**row))

    KeyRotation(database, ring_of(NEW, OLD)).seal_anew(meanwhile)
    assert {value.key_id for value in stored(database)} == {key_id(NEW)}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer
def test_a_row_that_somebody_is_changing_is_not_waited_for_nor_overwritten(
    database: Database,
) -> None:
    old = box(database, OLD)
    store(database, old, 2)
    with database.engine.begin() as writer:
        document = {"variables": [{"value": old.seal("other")}]}
        writer.execute(
            update(catalog_item).where(catalog_item.c.name == "app-0").values(document=document)
        )
        assert rotate(database, NEW, OLD) == 7
    assert [value.key_id for value in stored(database)].count(key_id(OLD)) == 1
    assert rotate(database, NEW, OLD) == 1
    assert "other" in {box(database, NEW).unseal(value) for value in stored(database)}


def test_two_rotations_at_once_lose_nothing(database: Database) -> None:
    store(database, box(database, OLD), 60)
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(rotate(database, NEW, OLD))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) >= 241
    assert {value.key_id for value in stored(database)} == {key_id(NEW)}
    assert len([box(database, NEW).unseal(value) for value in stored(database)]) == 241


def test_values_that_lack_only_the_name_of_their_key_get_it_and_count_as_in_order(
    database: Database,
) -> None:
    value = box(database, OLD).seal(SECRET)
    del value["key_id"]
    with database.engine.begin() as connection:
        connection.execute(insert(snapshot).values(digest="0", document={"value": value}))
    rotation = KeyRotation(database, ring_of(OLD))
    assert rotation.outdated() == 0
    assert rotation.seal_anew(lambda _: None) == 0
    assert {v.key_id for v in stored(database)} == {key_id(OLD)}
    assert {v.cipher for v in stored(database)} >= {value["cipher"]}, "no need to seal it anew"


def test_the_uses_say_which_key_is_needed_for_what(database: Database) -> None:
    store(database, box(database, OLD), 2)
    assert [(u.key_id, u.needed) for u in uses(database, NEW, OLD, OTHER)] == [
        (key_id(NEW), True),  # it is the one to seal with
        (key_id(OLD), True),
        (key_id(OTHER), False),
    ]
    assert uses(database, NEW, OLD)[1].values == {
        "catalog_item": 4,
        "snapshot": 4,
        "setting_value": 1,
    }
    rotate(database, NEW, OLD)
    assert [(u.key_id, u.needed) for u in uses(database, NEW, OLD)] == [
        (key_id(NEW), True),
        (key_id(OLD), False),
    ]


def test_what_no_key_opens_is_told_and_left_as_it_is(database: Database) -> None:
    store(database, box(database, OLD), 1)
    before = stored(database)
    assert rotate(database, NEW) == 0
    assert stored(database) == before
    missing = uses(database, NEW)[-1]
    assert (missing.key_id, missing.needed, sum(missing.values.values())) == (None, True, 5)


def test_a_change_of_keys_is_on_record_without_the_keys(database: Database) -> None:
    rotation = KeyRotation(database, ring_of(NEW, OLD))
    rotation.record("ann", datetime(2026, 1, 1, tzinfo=UTC), new_key=True, sealed_anew=7)
    with database.read() as tx:
        (entry,) = tx.audit.latest(9)
    assert entry.event is not None
    assert (entry.event.who, entry.event.action) == ("ann", "secrets.rotate")
    assert entry.event.after == {"key": key_id(NEW), "new_key": True, "sealed_anew": 7}


@pytest.mark.parametrize(
    "document",
    [{"cipher": "a", "mac": "b", "more": "c"}, {"cipher": "a"}, ["cipher", "mac"], "cipher", None],
)
def test_what_only_looks_like_a_sealed_value_is_none(document: Any) -> None:
    assert list(sealed_values(document)) == []


def test_sealed_values_are_found_however_deep() -> None:
    value = {"cipher": "a", "mac": "b"}
    document: Sequence[object] = [{"x": [value, {"y": {**value, "key_id": "k"}}]}, value]
    assert [v.key_id for v in sealed_values(document)] == [None, "k", None]
