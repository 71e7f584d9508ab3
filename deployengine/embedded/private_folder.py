"""Folders that only their owner may enter, and where a socket's name fits."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from deployengine.domain.errors import RequestError

#: The kernel takes 107 bytes (Linux) or 103 (macOS) for the path of a Unix socket.
LONGEST_SOCKET_PATH = 100


def make_folder(path: Path) -> Path:
    """Makes the folder, closed to all others, unless it is there.

    Raises :class:`RequestError` when it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        advice = "set DEPLOYENGINE_HOME to a folder that you may write to"
        raise RequestError(f"cannot make it: {error.strerror}", str(path), advice) from error
    return path


def private_folder(path: Path) -> Path:
    """Makes the folder if need be; promises that it is ours and closed to all others.

    Raises :class:`RequestError` when somebody else owns it, it is a link, or it is open to others:
    whoever can enter may replace the socket.
    """
    make_folder(path.parent)
    if not os.path.lexists(path):
        make_folder(path)
    found = path.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o077:
        raise RequestError(
            "this has to be a folder that only you own and may enter",
            str(path),
            f"remove it, or: chmod 700 '{path}'" if ours else "remove it, or use another home",
        )
    return path


def socket_folder(folder: Path, name: str) -> Path:
    """``folder`` if a socket of this name fits there, else a short one in the temporary folder."""
    if len(os.fsencode(folder / name)) <= LONGEST_SOCKET_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"deployengine-{os.geteuid()}-{digest}"
