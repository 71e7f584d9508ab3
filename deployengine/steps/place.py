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

from deployengine.steps.errors import WorkdirUnusable

_FILE = ".place"  # no machine's folder beside it has such a name
_HOST = Path("/etc/machine-id")


def place_of(tickets: Path) -> str:
    """What tells this host and this folder of tickets from all others; makes its mark there.

    Raises :class:`WorkdirUnusable` when it cannot.
    """
    try:
        return f"{_host()}:{_mark(tickets)}"
    except OSError as error:
        raise WorkdirUnusable(
            f"the folder of tickets {tickets} can't be used ({error.strerror}); make it one that "
            "the engine's user may write, with room on its disk"
        ) from error


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
        draft = tickets / f"{_FILE}.{secrets.token_hex(8)}"
        try:
            draft.write_text(secrets.token_hex(8), "ascii")
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text("ascii").strip()
