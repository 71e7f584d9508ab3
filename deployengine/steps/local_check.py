"""Whether this machine can carry tickets: its folders, its shell, the room on its disk."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from deployengine.steps.checkup import Checkup, warnings_about_room
from deployengine.steps.errors import MachineUnfit
from deployengine.steps.faults import faults
from deployengine.steps.fences import FOLDER
from deployengine.steps.local_machine import LocalMachine

#: Where the wrapper looks for its programs.
_PATH = f"/usr/bin:/bin:{os.environ.get('PATH', os.defpath)}"
#: Without these no end is recorded.
_NEEDED = ("mv", "rm")
#: Without these ``set_output`` can't store a long value.
_WANTED = ("dd", "tr")
#: How long the shell may take to do nothing: seconds.
_PATIENCE = 30.0


def check(machine: LocalMachine) -> Checkup:
    """Looks at the machine; the folders are made, and nothing else is left behind.

    Raises :class:`MachineUnfit`, :class:`WorkdirUnusable` or :class:`DiskFull`.
    """
    with faults("check", machine.workdir, machine.tickets):
        machine.workdir.mkdir(parents=True, exist_ok=True)
        _write_in(machine.workdir)
        for folder in (machine.tickets, machine.tickets / FOLDER):
            folder.mkdir(0o700, parents=True, exist_ok=True)
            _write_in(folder, lock=True)
        disk = os.statvfs(machine.tickets)
    if lacking := _lacking(_NEEDED):
        raise MachineUnfit(f"check: {', '.join(lacking)} can't be found; install it")
    free = disk.f_bavail * disk.f_frsize
    system = os.uname()
    return Checkup(
        platform=f"{system.sysname} {system.release} {system.machine}",
        round_trip=_ask(machine.shell),
        clock_difference=0.0,
        free_bytes=free,
        missing=_lacking(_WANTED),
        warnings=warnings_about_room(free, str(machine.tickets)),
    )


def _write_in(folder: Path, *, lock: bool = False) -> None:
    """Writes into a file there that nobody else sees, and locks it as fences are locked."""
    # The name begins with a dot, so that it is no ticket's where the file needs one for a moment.
    with tempfile.TemporaryFile(dir=folder, prefix=".check-") as file:
        file.write(bytes(4096))
        file.flush()
        if lock:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _ask(shell: tuple[str, ...]) -> float:
    """What the shell takes to do nothing: seconds."""
    began = time.monotonic()
    try:
        subprocess.run(
            [*shell, "-c", ":"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineUnfit(
            f"check: {shell[0]} does not work ({error}); see to the machine's shell"
        ) from error
    return time.monotonic() - began


def _lacking(programs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in programs if shutil.which(each, path=_PATH) is None)
