"""The keys that encrypt sensitive values, in Fernet's form: 32 bytes in URL-safe base64.

There may be several, so that they can be changed: the first one seals, all of them open. In the
variable and the setting they are set apart by spaces, in a file they stand one on a line; what
follows a ``#`` there is a remark.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet

from deployengine.domain.errors import RequestError
from deployengine.file_lock import locked
from deployengine.settings import Settings

ANEW = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())' "
    "makes a new one"
)

#: Bytes of a key file that are read: room for hundreds of keys.
_MOST = 65_536


class MasterKeys:
    """The keys from the setting, else from the key file, else from ``master.key`` in the home.

    The last is made at first use, with mode 0600; of several processes that make it at once, one
    wins and all return its key. A file that changes is read again, so that who changes keys need
    not stop anybody. Raises :class:`RequestError` for what is no key, a named file that is missing,
    and a file that others may read. No message shows a key.
    """

    def __init__(self, settings: Settings) -> None:
        self._given = settings.master_key
        #: ``None``: the keys are not in a file.
        self.file = (
            None
            if settings.master_key is not None
            else settings.master_key_file or settings.home / "master.key"
        )
        self._own = settings.master_key_file is None
        self._read: tuple[object, tuple[bytes, ...]] | None = None

    def __call__(self) -> tuple[bytes, ...]:
        """The keys in force, the one to seal with first."""
        if self.file is None:
            assert self._given is not None
            return _checked(self._given.encode().split(), "the setting master_key")
        if self._own and not self.file.exists():
            _make(self.file)
        with suppress(OSError):
            if self._read and self._read[0] == _stamp(self.file):
                return self._read[1]
        return self._read_file(self.file)

    def put_first(self, key: bytes, remark: str = "") -> None:
        """Makes this the key to seal with, and keeps the others in the file to open with.

        Whole or not at all, whoever else does it at the same time. ``remark`` goes with it into the
        file. Raises :class:`RequestError`.
        """
        _checked([key], "the new key")
        if self.file is None:
            raise RequestError(
                "the keys are given in DEPLOYENGINE_MASTER_KEY or the setting master_key, which "
                "this command cannot change",
                None,
                "put the new key before the others there, separated by a space, start the workers "
                "again, and then say deployengine secrets rotate",
            )
        self()  # made, if it is not there
        file = self.file.resolve()
        try:
            with locked(file.with_name(f".{file.name}.lock")):
                lines = file.read_text("utf-8").splitlines()
                others = [line for line in lines if line.partition("#")[0].strip().encode() != key]
                first = f"{key.decode()}  # {remark}" if remark else key.decode()
                _replace(file, "\n".join([first, *others, ""]).encode())
        except OSError as error:
            raise RequestError(
                f"the key file cannot be changed: {error.strerror}",
                str(file),
                "put the new key into its first line yourself",
            ) from error

    def _read_file(self, file: Path) -> tuple[bytes, ...]:
        try:
            stamp, keys = _stamp(file), _read(file)
        except RequestError:
            # What was right once serves on: somebody may be about to write it anew.
            if self._read is None:
                raise
            return self._read[1]
        except OSError as error:
            if self._read is None:
                raise _unreadable(file, error) from error
            return self._read[1]
        self._read = stamp, keys
        return keys


def new_key() -> bytes:
    """A key that nobody has yet."""
    return Fernet.generate_key()


def read_key(file: Path) -> bytes:
    """The only key in a file, by the same rules; raises :class:`RequestError`."""
    keys = _read(file)
    if len(keys) > 1:
        raise RequestError(f"there are {len(keys)} keys in it, and one is wanted", str(file))
    return keys[0]


def _stamp(file: Path) -> object:
    status = file.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST)
    except OSError as error:
        raise _unreadable(path, error) from error
    if mode & 0o077:
        raise RequestError(
            f"the key file has mode {mode:04o}: others than its owner may use it",
            str(path),
            f"chmod 600 '{path}', and take a new key if others could have read it",
        )
    lines = (line.partition(b"#")[0].strip() for line in content.splitlines())
    return _checked([line for line in lines if line], str(path))


def _unreadable(path: Path, error: OSError) -> RequestError:
    return RequestError(f"the key file cannot be read: {error.strerror}", str(path))


def _checked(keys: Sequence[bytes], where: str) -> tuple[bytes, ...]:
    for key in keys or [b""]:
        try:
            Fernet(key)
        except ValueError:
            # The cause would print no key, but it would print nothing useful either.
            message = "this is no master key: a key is 32 bytes in URL-safe base64, 44 characters"
            raise RequestError(message, where, ANEW) from None
    return tuple(keys)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path, new_key() + b"\n")
    try:
        # A link, unlike a rename, does not replace the key of who was faster.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _replace(path: Path, content: bytes) -> None:
    before = path.stat()
    draft = _draft(path, content)
    try:
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, before.st_uid, before.st_gid)
        draft.rename(path)
    except OSError:
        draft.unlink()
        raise


def _draft(path: Path, content: bytes) -> Path:
    """A file beside the path with this content, for its owner alone, on the disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
