"""From what the operating system says to what a person can do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployengine.steps.contract import Work
from deployengine.steps.errors import DiskFull, MachineUnfit, WorkdirUnusable

_FOLDER_FAULTS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST, errno.ENOTDIR),
    *(errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
)


def refusal(error: OSError, work: Work, shell: str) -> str:
    """Why a process could not be started, in one line."""
    where = f"ticket {work.ticket}: {shell} could not be started: {error.strerror}"
    if error.errno == errno.E2BIG:
        return f"{where}; its environment is too large: let the script call get_variable instead"
    return f"{where}; look at the machine's limits (processes, memory) and at its shell"


@contextmanager
def faults(what: str, workdir: Path, tickets: Path) -> Iterator[None]:
    """Turns what the file system says into errors that say what to do; ``what`` was being done."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename or tickets}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{what}: {where}; make room on that disk") from error
        if error.errno in _FOLDER_FAULTS:
            ours = Path(str(error.filename or tickets)).is_relative_to(tickets)
            raise WorkdirUnusable(
                f"{what}: {f'folder of tickets {tickets}' if ours else f'work folder {workdir}'} "
                f"can't be used ({where}); make it a folder that the engine's user may write, "
                "or name another in the catalog"
            ) from error
        raise MachineUnfit(f"{what}: {where}; see to the machine, then try again") from error
