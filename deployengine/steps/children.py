"""Starts wrappers as children of this process, and buries them.

``os.posix_spawn`` and not ``subprocess``: both cost the same, but this one gives the script back
all signal dispositions and the mask, which a worker may have changed for itself.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

_CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

#: Children of this process that were not waited for yet: a table of the process, like the kernel's.
_unburied: set[int] = set()


#: The first descriptor that is handed to a child: the shells use those up to 3.
FIRST_HANDED = 4


def spawn(
    command: tuple[str, ...], environment: Mapping[str, str], hand_over: Sequence[int] = ()
) -> bytes:
    """Runs a command as the leader of its own session, and returns what it says to begin with.

    The child has the descriptors to ``hand_over`` as 4, 5, ...; they must be above those. It comes
    back when the child has closed its stdout. Raises ``OSError`` if it can't be run.
    """
    bury()
    ear, mouth = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            child = os.posix_spawn(
                command[0],
                command,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, mouth, 1),
                    (os.POSIX_SPAWN_DUP2, mouth, 2),
                    *(
                        (os.POSIX_SPAWN_DUP2, each, n)
                        for n, each in enumerate(hand_over, FIRST_HANDED)
                    ),
                ),
                setsid=True,
                setsigdef=_CATCHABLE,
                setsigmask=(),
            )
        finally:
            os.close(mouth)
        _unburied.add(child)
        return _all(ear)
    finally:
        os.close(ear)


def _all(descriptor: int) -> bytes:
    said = b""
    while more := os.read(descriptor, 4096):
        said += more
    return said


def bury() -> None:
    """Waits for the children that have ended; how they ended stands in their tickets."""
    for child in tuple(_unburied):
        # Taken out first: once waited for, its number may be that of another thread's new child.
        _unburied.discard(child)
        with suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                _unburied.add(child)
