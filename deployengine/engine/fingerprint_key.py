"""The key of the fingerprints of sealed values: stored once, and the same for ever."""

from __future__ import annotations

from deployengine.domain.sealed_documents import sealed_values
from deployengine.domain.variables import Sealed
from deployengine.persistence import Database, Transaction
from deployengine.persistence.sealed_values import PLACES
from deployengine.persistence.setting_values import FINGERPRINT_KEY
from deployengine.sealing import KeyRing, WrongMasterKey


def fingerprint_key(database: Database, ring: KeyRing) -> bytes | None:
    """The stored key, made if there is none; ``None`` when no master key in use opens it."""
    with database.read() as tx:
        stored = tx.settings.get(FINGERPRINT_KEY)
    if stored is None:
        with database.write("reseal") as tx:
            made = ring.first_fingerprint_key(_any_sealed(tx))
            cipher, by = ring.encrypt(made.hex())
            # It is fingerprint enough of itself: nobody compares it.
            stored = tx.settings.keep(FINGERPRINT_KEY, Sealed(cipher, "", by).to_document())
    try:
        return bytes.fromhex(ring.decrypt(Sealed.from_document(stored)))
    except WrongMasterKey:
        return None


def _any_sealed(tx: Transaction) -> Sealed | None:
    for place in PLACES:
        for holder in tx.sealed.holders(place, (), 1):
            return next(sealed_values(holder.document), None)
    return None
