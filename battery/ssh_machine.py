"""The machine that is reached by SSH: an sshd of its own, which can be cut off, or stand still."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from battery.scenario import BY_SSH
from benchmarks.system import Broken
from tests.support.sshd import SYSTEM, start_sshd

#: How often the engine asks for a sign of life; a machine that stands still for three of these and
#: one more is given up.
KEEPALIVE = "0.5s"


class SshMachine:
    """It lies on this host like the others; its folders are those of the home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        if not all(shutil.which(name, path=SYSTEM) for name in ("sshd", "ssh-keygen")):
            raise Broken("the battery wants sshd and ssh-keygen: install openssh-server")
        # Not in the house: what names that is taken for the engine's.
        self._folder = Path(tempfile.mkdtemp(prefix="battery-sshd-"))
        self._start()

    def connection(self) -> dict[str, Any]:
        """How the catalog describes the way there."""
        tickets = self._home / "tickets" / BY_SSH
        work = self._home / "work" / BY_SSH
        return self._server.connection(work, tickets=str(tickets), keepalive=KEEPALIVE)

    def sessions(self) -> list[psutil.Process]:
        """The processes of sshd that serve somebody, without the shells that they have started."""
        with suppress(psutil.NoSuchProcess):  # when nobody is let in
            children = psutil.Process(self._server.process.pid).children(recursive=True)
            return [each for each in children if _is_sshd(each)]
        return []

    def cut(self) -> None:
        """Kills every session; what runs within them lives on."""
        _send(signal.SIGKILL, self.sessions())

    def freeze(self) -> None:
        """Lets every session stand still, and whoever comes."""
        self._server.process.send_signal(signal.SIGSTOP)
        _send(signal.SIGSTOP, self.sessions())

    def thaw(self) -> None:
        """Lets them go on."""
        _send(signal.SIGCONT, self.sessions())
        self._server.process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """Kills every session; whoever comes is refused."""
        sessions = self.sessions()
        self._server.stop()
        _send(signal.SIGKILL, sessions)

    def come_back(self) -> None:
        """Lets whoever comes in again."""
        self._start(self._server.port)

    def close(self) -> None:
        """Nothing is left of it."""
        self.thaw()
        self.leave()
        shutil.rmtree(self._folder)

    def _start(self, port: int | None = None) -> None:
        # Scripts on the other machines have this from the workers.
        given = f"SHLVL=5 BATTERY_MACHINES={self._home / 'machines'}"
        self._server = start_sshd(self._folder, port=port, SetEnv=given)


def _send(word: signal.Signals, sessions: Sequence[psutil.Process]) -> None:
    for session in sessions:
        with suppress(psutil.Error):
            session.send_signal(word)


def _is_sshd(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name().startswith("sshd")
    return False
