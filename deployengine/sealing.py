"""Sealing: sensitive values are encrypted before they are stored, and opened only to be used."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken

from deployengine.domain.errors import RequestError
from deployengine.domain.variables import Sealed


class WrongMasterKey(RequestError):
    """A value was sealed with another master key than the one in use."""


class SecretBox:
    """Seals and unseals with the master key.

    Authenticated encryption (Fernet), and beside it a keyed fingerprint by which two sealed
    values can be compared without opening them.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self._mac_key = hashlib.sha256(b"deployengine fingerprint\0" + key).digest()

    def seal(self, text: str) -> dict[str, str]:
        """The stored form of a secret."""
        return {
            "cipher": self._fernet.encrypt(text.encode()).decode(),
            "mac": hmac.new(self._mac_key, text.encode(), hashlib.sha256).hexdigest(),
        }

    def unseal(self, sealed: Sealed) -> str:
        """The secret; raises :class:`WrongMasterKey`."""
        try:
            return self._fernet.decrypt(sealed.cipher.encode()).decode()
        except InvalidToken:
            raise WrongMasterKey(
                "a sensitive value cannot be opened with the master key in use",
                None,
                "set DEPLOYENGINE_MASTER_KEY or DEPLOYENGINE_MASTER_KEY_FILE to the key it was "
                "sealed with, or apply the catalog again",
            ) from None
