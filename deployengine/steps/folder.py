"""A ticket's folder on this machine."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deployengine.steps import ticket
from deployengine.steps.contract import Work, is_ticket_name
from deployengine.steps.ticket import Begun

#: How long a record may stay incomplete before it counts as lost: its one write takes microseconds.
_SETTLE = 1.0

#: What the name of a folder ends with from the moment it is being removed; no ticket's name can.
HALF_CLEANED = "~"

# Opening never waits, whatever was put in the file's place.
_TO_READ = os.O_RDONLY | os.O_NONBLOCK


def tickets_in(entries: Iterable[str]) -> list[str]:
    """The names of the tickets that lie in a folder with these entries, half-cleaned ones too."""
    names = {entry.removesuffix(HALF_CLEANED) for entry in entries}
    return sorted(name for name in names if is_ticket_name(name))


class TicketFolder:
    """Reads and writes the files of one ticket. Raises plain ``OSError``."""

    def __init__(self, workdir: Path, tickets: Path, name: str) -> None:
        self.workdir = workdir
        self.name = name
        self.path = tickets / name
        self.script = self.path / "script"
        self._state = self.path / "state"

    def make(self) -> None:
        """Makes the folder, the work folder and those above them, unless they are there."""
        self.workdir.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir(0o700)
        except FileNotFoundError:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            self.path.mkdir(0o700, exist_ok=True)
        except FileExistsError:
            pass

    def fill(self, work: Work) -> None:
        """Writes what the wrapper needs. Doing it again never touches what a script is reading."""
        self._put("script", ticket.encode(work.script))
        self._put("variables", ticket.encode(ticket.render_variables(work.variables)))

    def begun(self, settle: float = _SETTLE) -> Begun | None:
        """The record that a run began, ``None`` if none has; with its ``damage`` if it has any."""
        try:
            mode = self.path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
            return self._damaged(f"{self.path} is {kind} and not the folder of a ticket")
        end = time.monotonic() + settle
        while (content := self._get("state")) is not None:
            record = ticket.parse_state(content)
            if record is not None:
                return record if record.ticket == self.name else self._anothers(record)
            if time.monotonic() > end:
                return self._damaged(f"{self._state} is cut short or no record of a beginning")
            time.sleep(0.005)  # the wrapper is between making this file and writing it
        return self._without_state()

    def of_another_run(self, record: Begun) -> Begun:
        """What to say of a record that this run never made."""
        return self._damaged(
            f"{self._state} is the record of another run of that name, with fence {record.fence}, "
            "from a database before this one"
        )

    def _anothers(self, record: Begun) -> Begun:
        return self._damaged(f"{self._state} is the record of another ticket, {record.ticket!r}")

    def _without_state(self) -> Begun | None:
        # A script's output and end come after the record of its beginning, never without it.
        if self.output_size() or (self.path / "exit").exists():
            return self._damaged(f"{self._state} is gone, but a script has run in that folder")
        return None

    def vanished(self) -> Begun:
        """What is left to say of a run that began and has no record any more."""
        return self._damaged(f"{self._state} was removed after the script began")

    def _damaged(self, damage: str) -> Begun:
        return Begun(self.name, 0, None, damage=damage)

    def began_at(self) -> float | None:
        """When the record of the beginning was written, in seconds since 1970."""
        try:
            return self._state.stat().st_mtime
        except OSError:
            return None

    def output_size(self) -> int:
        """How many bytes of output there are."""
        try:
            return (self.path / "output").stat().st_size
        except OSError:
            return 0

    def forbid(self) -> bool:
        """Makes the record that this run must never begin; says no if it has begun already."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(self._state, flags, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, ticket.cancelled_before_start(self.name))
        finally:
            os.close(descriptor)
        return True

    def mark_cancelled(self) -> None:
        """Remembers that the group is being ended, should its wrapper not live to record it."""
        os.close(os.open(self.path / "cancelled", os.O_WRONLY | os.O_CREAT, 0o600))

    def cancelled(self) -> bool:
        """Whether somebody is ending or ended the group."""
        return (self.path / "cancelled").exists()

    def exit_code(self) -> int | None:
        """The recorded end, or ``None`` if there is none or it is damaged."""
        content = self._get("exit")
        return None if content is None else ticket.parse_exit(content)

    def is_full(self) -> bool:
        """Whether its disk had no room left when the script ended."""
        try:
            return (self.path / "room").lstat().st_size == 0
        except OSError:
            return False

    def has_exit(self) -> bool:
        """Whether an end is recorded, legible or not."""
        return os.path.lexists(self.path / "exit")

    def is_under_way(self) -> bool:
        """Whether the wrapper has gone past where it could take its record back."""
        return (self.path / "exit.new").exists() or self.has_exit()

    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.path.exists()

    def output(self, offset: int, limit: int) -> bytes:
        """A piece of the output."""
        try:
            descriptor = os.open(self.path / "output", _TO_READ)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, limit, offset)
        finally:
            os.close(descriptor)

    def outputs(self) -> dict[str, str]:
        """What ``set_output`` stored."""
        return ticket.parse_outputs(self._get("outputs") or b"")

    def remove(self) -> None:
        """Removes the folder. It is renamed first, so that no one ever finds half of a ticket.

        Who died in between left the renamed one, and the next call removes that.
        """
        gone = self.path.with_name(f"{self.name}{HALF_CLEANED}")
        _remove(gone)
        try:
            self.path.rename(gone)
        except (FileNotFoundError, NotADirectoryError):
            return
        _remove(gone)

    def _get(self, name: str) -> bytes | None:
        """The content of a file, ``None`` if it is not there, nothing if it is no legible file."""
        try:
            descriptor = os.open(self.path / name, _TO_READ | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EACCES, errno.ENXIO):
                return b""
            raise
        content = b""
        try:
            while more := os.read(descriptor, 65536):
                content += more
        except IsADirectoryError:
            return b""
        finally:
            os.close(descriptor)
        return content

    def _put(self, name: str, content: bytes) -> None:
        new = self.path / f"{name}.{os.getpid()}.{threading.get_native_id()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(new, flags, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        new.rename(self.path / name)


def _remove(path: Path) -> None:
    """Removes a folder with all that is in it, never what a link points to."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # what another remover takes away meanwhile is no error; the rest is
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
