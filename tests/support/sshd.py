"""Real sshd instances on loopback, each with a port, a host key and a configuration of its own.

They need OpenSSH's server. Without it tests are skipped; in CI (``CI`` is set) it must be there.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.needs import lacking

#: Where programs are looked for: those of administrators, too.
SYSTEM = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"


def tool(name: str) -> str:
    """The path of a program that the machine must have; skips without it, fails in CI."""
    found = shutil.which(name, path=SYSTEM)
    if found is None:
        lacking(f"{name} is not installed")
    return found


@dataclass(frozen=True)
class SshServer:
    """A running sshd."""

    port: int
    folder: Path
    user: str
    process: subprocess.Popen[bytes]

    @property
    def host_key(self) -> str:
        """The fingerprint of its host key."""
        return fingerprint(self.folder / "host_key.pub")

    @property
    def identity_file(self) -> Path:
        """A private key that it lets in."""
        return self.folder / "identity"

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def connection(self, workdir: Path | str, **more: object) -> dict[str, object]:
        """How a catalog describes the way there."""
        return {
            "kind": "ssh",
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "host_key": [self.host_key],
            "identity_file": str(self.identity_file),
            "workdir": str(workdir),
            **more,
        }

    def stop(self) -> None:
        """Ends it with all of its sessions."""
        self.process.terminate()
        self.process.wait()


def fingerprint(public_key: Path) -> str:
    """As ssh-keygen prints it."""
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(public_key)], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair; the path of the private half."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), "-C", "test"]
    subprocess.run(command, check=True)
    return path


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_sshd(
    folder: Path | None = None,
    user: str | None = None,
    within: Sequence[str] = (),
    **settings: str,
) -> Iterator[SshServer]:
    """An sshd that ends with the block; ``settings`` are words of its sshd_config.

    ``within`` is a command that starts it, as in a namespace of its own.
    """
    with tempfile.TemporaryDirectory(prefix="sshd-") as temporary:
        home = folder or Path(temporary)
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        server = start_sshd(home, user, within=within, **settings)
        try:
            yield server
        finally:
            server.stop()


def start_sshd(
    folder: Path,
    user: str | None = None,
    port: int | None = None,
    within: Sequence[str] = (),
    **settings: str,
) -> SshServer:
    """An sshd that somebody has to stop; keys that are in the folder stay."""
    program = tool("sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host_key", "identity"):
        if not (folder / name).exists():
            make_key(folder / name)
    port = port or free_port()
    lines = {
        "Port": str(port),
        "ListenAddress": "127.0.0.1",
        "HostKey": str(folder / "host_key"),
        "AuthorizedKeysFile": str(folder / "identity.pub"),
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "UseDNS": "no",
        "MaxStartups": "100",
        "LogLevel": "VERBOSE",
        # bash reads its start-up files in sessions of sshd, unless it is told to be an inner one.
        "SetEnv": "SHLVL=5",
        **settings,
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{word} {value}\n" for word, value in lines.items()))
    process = subprocess.Popen(
        [*within, program, "-D", "-f", str(config), "-E", str(folder / "log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = SshServer(port, folder, user or getpass.getuser(), process)
    _until_it_listens(server)
    return server


def _until_it_listens(server: SshServer) -> None:
    while server.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
    raise RuntimeError(f"sshd ended at once: {server.log}")
