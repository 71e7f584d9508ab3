"""A ticket's folder on this machine."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from deployengine.steps import ticket
from deployengine.steps.contract import Work
from deployengine.steps.ticket import Begun

#: How long a record may stay incomplete before it counts as lost: its one write takes microseconds.
_SETTLE = 1.0


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
        self._put("variables", ticket.render_variables(work.variables))

    def begun(self) -> Begun | None:
        """The record that a run began, ``None`` if none has; without a leader if damaged."""
        end = time.monotonic() + _SETTLE
        while (content := self._get("state")) is not None:
            record = ticket.parse_state(content)
            if record is not None:
                return record
            if time.monotonic() > end:
                return Begun(fence=0, leader=None)
            time.sleep(0.005)  # the wrapper is between making this file and writing it
        return None

    def forbid(self) -> bool:
        """Makes the record that this run must never begin; says no if it has begun already."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(self._state, flags, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, ticket.cancelled_before_start())
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

    def output(self, offset: int, limit: int) -> bytes:
        """A piece of the output."""
        try:
            descriptor = os.open(self.path / "output", os.O_RDONLY)
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
        """Removes the folder. It is renamed first, so that no one ever finds half of a ticket."""
        gone = self.path.with_name(f"{self.name}~")
        shutil.rmtree(gone, ignore_errors=True)
        try:
            self.path.rename(gone)
        except (FileNotFoundError, NotADirectoryError):
            return
        shutil.rmtree(gone)

    def _get(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _put(self, name: str, content: bytes) -> None:
        new = self.path / f"{name}.{os.getpid()}.{threading.get_native_id()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        new.rename(self.path / name)
