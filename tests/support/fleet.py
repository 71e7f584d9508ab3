"""Real SSH machines for tests: an sshd each, with ports, users and folders of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.sshd import SshServer, start_sshd


@dataclass(frozen=True)
class Target:
    """One machine: its sshd, and the home of the user that scripts run as."""

    name: str
    server: SshServer
    home: Path

    @property
    def workdir(self) -> Path:
        """Where its scripts run when the catalog names no other folder."""
        return self.home / "deployengine" / self.name

    def machine(self, environment: str, **more: Any) -> dict[str, Any]:
        """As a catalog has it."""
        return {
            "name": self.name,
            "environments": [environment],
            "roles": ["web"],
            "connection": self.server.connection(self.workdir, **more),
        }

    def journal(self) -> list[list[str]]:
        """The lines that scripts wrote into the machine's journal, as words."""
        try:
            text = (self.workdir / "journal").read_text()
        except FileNotFoundError:
            return []
        return [line.split() for line in text.splitlines()]

    def began(self) -> list[str]:
        """The projects whose scripts have begun there, in order."""
        return [words[1] for words in self.journal() if words[0] == "begin"]

    def clashes(self) -> list[str]:
        """Scripts that began before the one before them had ended."""
        inside: list[str] = []
        found = []
        for what, *words in self.journal():
            if what == "begin":
                if inside:
                    found.append(f"{words} while {inside[-1]} ran")
                inside.append(str(words))
            else:
                inside.pop()
        return found


@contextmanager
def fleet(names: list[str], *, own_users: bool = False, **settings: str) -> Iterator[list[Target]]:
    """Machines with these names; ``own_users``: as root, each has a user of its own."""
    folder = Path(tempfile.mkdtemp(prefix="fleet-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        users = own_users and os.geteuid() == 0
        targets = []
        for number, name in enumerate(names):
            place = folder / name
            place.mkdir(mode=0o755)
            user = (
                stack.enter_context(host_user(f"de{os.getpid() % 100000}-{number}", place))
                if users
                else None
            )
            server = start_sshd(place, user, **settings)
            stack.callback(server.stop)
            targets.append(Target(name, server, place / "home" if user else place))
        yield targets


@contextmanager
def host_user(name: str, place: Path) -> Iterator[str]:
    """A user of this host with a home and a plain shell, who goes with the block; only as root."""
    home = place / "home"
    subprocess.run(
        ["useradd", "-m", "-d", str(home), "-s", "/bin/sh", "-p", "*", name],
        check=True,
        capture_output=True,
    )
    try:
        yield name
    finally:
        subprocess.run(["pkill", "-KILL", "-u", name], check=False)
        subprocess.run(["userdel", "-r", "-f", name], check=False, capture_output=True)


def uid_of(path: Path) -> str:
    """Whose a file is."""
    return pwd.getpwuid(path.stat().st_uid).pw_name
