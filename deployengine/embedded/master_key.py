"""The key that encrypts sensitive values, in Fernet's form: 32 bytes in URL-safe base64."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet

from deployengine.domain.errors import RequestError
from deployengine.settings import Settings

ANEW = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())' "
    "makes a new one"
)


def master_key(settings: Settings) -> bytes:
    """The key from the setting, else from the key file, else from ``master.key`` in the home.

    The last is made at first use, with mode 0600; of several processes that make it at once, one
    wins and all return its key. Raises :class:`RequestError` for what is no key, a named file that
    is missing, and a file that others may read. No message shows a key.
    """
    if settings.master_key is not None:
        return _checked(settings.master_key.encode(), "the setting master_key")
    if settings.master_key_file is not None:
        return _read(settings.master_key_file)
    path = settings.home / "master.key"
    if not path.exists():
        _make(path)
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(1000)
    except OSError as error:
        raise RequestError(f"the key file cannot be read: {error.strerror}", str(path)) from error
    if mode & 0o077:
        raise RequestError(
            f"the key file has mode {mode:04o}: others than its owner may use it",
            str(path),
            f"chmod 600 '{path}', and take a new key if others could have read it",
        )
    return _checked(content.strip(), str(path))


def _checked(key: bytes, where: str) -> bytes:
    try:
        Fernet(key)
    except ValueError:
        # The cause would print no key, but it would print nothing useful either.
        message = "this is no master key: a key is 32 bytes in URL-safe base64, 44 characters"
        raise RequestError(message, where, ANEW) from None
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, does not replace the key of who was faster.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
