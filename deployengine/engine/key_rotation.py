"""Changing master keys: everything that is stored is sealed anew with the first of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from deployengine.domain.audit import Action, Event
from deployengine.domain.sealed_documents import sealed_values, with_sealed_values
from deployengine.domain.variables import Sealed
from deployengine.persistence import Database
from deployengine.persistence.sealed_values import PLACES, Holder, Place
from deployengine.sealing import KeyRing

#: Rows that one transaction seals anew: few, so that workers never wait for long.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A master key, and how many values it opens in each place.

    ``key_id`` ``None`` stands for keys that are not in use: those values cannot be opened.
    """

    key_id: str | None
    seals: bool
    values: Mapping[str, int]

    @property
    def needed(self) -> bool:
        """Whether something is lost without it."""
        return self.seals or bool(self.values)


class KeyRotation:
    """Looks which keys are needed, and seals anew what is sealed with another than the first.

    It may be interrupted at any time and begun again, by several at once, while workers run: a row
    is read and written in one transaction, and whoever seals meanwhile does so with the first key.
    """

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    def uses(self) -> list[KeyUse]:
        """The keys in use, the one to seal with first, and ``None`` where one is missing."""
        found: dict[str | None, Counter[str]] = {name: Counter() for name in self._ring.ids}
        for place in PLACES:
            for holder in self._holders(place):
                for sealed in sealed_values(holder.document):
                    by = self._ring.opener(sealed)
                    found.setdefault(by, Counter())[place.table.name] += 1
        first = self._ring.ids[0]
        return [KeyUse(name, name == first, counts) for name, counts in found.items()]

    def outdated(self) -> int:
        """How many values are sealed with another key than the first, and can be opened."""
        return sum(sum(u.values.values()) for u in self.uses() if u.key_id and not u.seals)

    def seal_anew(self, progress: Callable[[int], None]) -> int:
        """Seals all of them with the first key; ``progress`` is told how many are done.

        What no key in use opens stays as it is. Returns how many were sealed anew.
        """
        before, done = -1, 0
        while done > before:  # what somebody else was just writing comes in the next pass
            before = done
            for place in PLACES:
                for changed in self._pass(place):
                    done += changed
                    progress(done)
        return done

    def record(self, who: str, at: datetime, *, new_key: bool, sealed_anew: int) -> None:
        """Puts on record that somebody has changed the keys."""
        after = {"key": self._ring.ids[0], "new_key": new_key, "sealed_anew": sealed_anew}
        with self._database.write("reseal") as tx:
            tx.audit.add(Event(at, who, Action.SECRETS_ROTATE, "master key", after=after))

    def _pass(self, place: Place) -> Iterator[int]:
        """Goes through a place once, and tells how many values each transaction sealed anew."""
        after: Sequence[Any] | None = ()
        while after is not None:
            anew = _Anew(self._ring)
            with self._database.write("reseal") as tx:
                batch = tx.sealed.holders(place, after, _BATCH, lock=True)
                for holder in batch:
                    document = with_sealed_values(holder.document, anew)
                    if document != holder.document:
                        tx.sealed.replace(place, holder.key, document)
            yield anew.count
            after = batch[-1].key if len(batch) == _BATCH else None

    def _holders(self, place: Place) -> Iterator[Holder]:
        after: Sequence[Any] | None = ()
        while after is not None:
            with self._database.read() as tx:
                batch = tx.sealed.holders(place, after, _BATCH)
            yield from batch
            after = batch[-1].key if len(batch) == _BATCH else None


class _Anew:
    """Seals values with the first key, and counts those that were sealed with another one."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._first = ring.ids[0]
        self.count = 0

    def __call__(self, sealed: Sealed) -> Sealed:
        by = self._ring.opener(sealed)
        if by is None or sealed.key_id == self._first:
            return sealed
        if by == self._first:  # only its name is missing
            return replace(sealed, key_id=by)
        self.count += 1
        cipher, first = self._ring.encrypt(self._ring.decrypt(sealed))
        return replace(sealed, cipher=cipher, key_id=first)
