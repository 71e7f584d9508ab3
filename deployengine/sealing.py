"""Sealing: sensitive values are encrypted before they are stored, and opened only to be used.

A sealed value is a ``cipher`` (Fernet: encrypted and authenticated), the ``key_id`` of the master
key that opens it, and a ``mac``: a keyed fingerprint by which two values can be compared without
opening them. The fingerprint takes part in the digests of releases, so it must outlive a change of
master keys. Hence its key is one of its own, stored sealed, and sealed anew like all the rest.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterable, Sequence

from cryptography.fernet import Fernet, InvalidToken

from deployengine.domain.errors import RequestError
from deployengine.domain.variables import Sealed

#: The master keys in force, the first being the one to seal with. Asked again whenever it matters.
Keys = Callable[[], Sequence[bytes]]


class WrongMasterKey(RequestError):
    """A value was sealed with another master key than those in use."""


def key_id(key: bytes) -> str:
    """How a master key is called: eight hexadecimal digits, which tell nothing of it."""
    return hashlib.sha256(b"deployengine key id\0" + key).hexdigest()[:8]


def _derived(key: bytes) -> bytes:
    return hashlib.sha256(b"deployengine fingerprint\0" + key).digest()


class KeyRing:
    """Master keys by their ids. A key that was once known is not forgotten before the process ends.

    ``keys`` may tell of another first key at any time, and the next value is sealed with that one.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: dict[str, Fernet] = {}
        self._fingerprint_keys: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys in force, the one to seal with first."""
        return tuple(self._learn())

    def encrypt(self, text: str) -> tuple[str, str]:
        """The cipher of a text, and the id of the key."""
        first = self._learn()[0]
        return self._known[first].encrypt(text.encode()).decode(), first

    def opener(self, sealed: Sealed) -> str | None:
        """The id of the key that opens a value; ``None`` if it is not known."""
        return self._open(sealed)[0]

    def decrypt(self, sealed: Sealed) -> str:
        """The text; raises :class:`WrongMasterKey`."""
        by, text = self._open(sealed)
        if by is not None:
            return text
        if sealed.key_id in self._known:
            why = f"it is damaged, as master key {sealed.key_id} is in use and does not open it"
        else:
            named = f"its master key {sealed.key_id}" if sealed.key_id else "its master key"
            why = f"{named} is not in use (in use: {', '.join(self._learn())})"
        raise WrongMasterKey(
            f"a sensitive value cannot be opened: {why}",
            None,
            "give the key it was sealed with beside the others, in DEPLOYENGINE_MASTER_KEY or the "
            "key file, or apply the catalog again",
        )

    def first_fingerprint_key(self, of: Sealed | None) -> bytes:
        """The fingerprint key of an installation that has stored none yet.

        Before it was stored it was made from the master key, of which there was one: that which
        opens the value ``of``, if any was sealed.
        """
        by = self._open(of)[0] if of else None
        return self._fingerprint_keys[by or self._learn()[0]]

    def _open(self, sealed: Sealed) -> tuple[str | None, str]:
        if sealed.key_id not in self._known:
            self._learn()
        for name in [sealed.key_id] if sealed.key_id else list(self._known):
            try:
                return name, self._known[name].decrypt(sealed.cipher.encode()).decode()
            except (InvalidToken, KeyError):
                continue
        return None, ""

    def _learn(self) -> list[str]:
        keys = {key_id(key): key for key in self._keys()}
        with self._lock:
            for name in keys.keys() - self._known.keys():
                self._known[name] = Fernet(keys[name])
                self._fingerprint_keys[name] = _derived(keys[name])
        return list(keys)


class SecretBox:
    """Seals and unseals; safe to share between threads."""

    def __init__(self, ring: KeyRing, fingerprint_key: bytes | None) -> None:
        """``None``: the stored one could not be opened. Then nothing can be sealed, only opened."""
        self._ring = ring
        self._fingerprint_key = fingerprint_key

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> SecretBox:
        """The box of an installation that has had these keys from the beginning."""
        fixed = tuple(keys)
        return cls(KeyRing(lambda: fixed), _derived(fixed[0]))

    def seal(self, text: str) -> dict[str, str]:
        """The stored form of a secret; raises :class:`WrongMasterKey`."""
        mac = self.fingerprint(text)
        cipher, by = self._ring.encrypt(text)
        return Sealed(cipher, mac, by).to_document()

    def unseal(self, sealed: Sealed) -> str:
        """The secret; raises :class:`WrongMasterKey`."""
        return self._ring.decrypt(sealed)

    #: A box is what the engine calls to open values.
    __call__ = unseal

    def fingerprint(self, text: str) -> str:
        """What stands for a secret where it must not be shown: the same for equal ones.

        Raises :class:`WrongMasterKey`.
        """
        if self._fingerprint_key is None:
            raise WrongMasterKey(
                "nothing can be sealed: the stored fingerprint key was sealed with a master key "
                "that is not in use",
                None,
                "set DEPLOYENGINE_MASTER_KEY or DEPLOYENGINE_MASTER_KEY_FILE to the key that this "
                "database was used with before",
            )
        return hmac.new(self._fingerprint_key, text.encode(), hashlib.sha256).hexdigest()
