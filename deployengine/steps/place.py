"""The place of local machines: on which host, and in which folder, their tickets lie.

A ticket can be looked at only where it is. Whoever works in another place finds nothing of it, and
must not take that for "it never began".
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

_FILE = ".place"
_HOST = Path("/etc/machine-id")


def place_of(tickets: Path) -> str:
    """What tells this host and this folder of tickets from all others; makes its mark there."""
    return f"{_host()}:{_mark(tickets)}"


def _host() -> str:
    """The host's own id; its name where it has none. A container is a host of its own."""
    with suppress(OSError):
        if known := _HOST.read_text("ascii").strip():
            return f"{known}@{socket.gethostname()}"
    return socket.gethostname()


def _mark(tickets: Path) -> str:
    tickets.mkdir(0o700, parents=True, exist_ok=True)
    path = tickets / _FILE
    with suppress(FileExistsError):
        # Linked into place, so that nobody ever reads half of it.
        draft = tickets / f"{_FILE}.{os.getpid()}"
        draft.write_text(secrets.token_hex(8), "ascii")
        try:
            os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text("ascii").strip()
