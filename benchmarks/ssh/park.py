"""Thirty machines: thirty sshd on loopback, with a port, a host key and a folder each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.scenario import STAGES
from benchmarks.ssh.scripts import JOURNAL
from benchmarks.system import Broken
from tests.support.sshd import SshServer, start_sshd

NAMES = STAGES["Production"]
#: A variable of the sessions that names the machine's folder.
PLACE = "BENCHMARK_PLACE"


@dataclass(frozen=True, slots=True)
class Machine:
    """One sshd. ``folder`` is the scripts' folder; the variable PLACE names it in its sessions."""

    name: str
    port: int
    pid: int
    user: str
    folder: Path
    identity: Path
    host_key: Path
    fingerprint: str

    @property
    def known(self) -> str:
        """Its line in a file of known hosts."""
        kind, key, *_ = self.host_key.read_text("utf-8").split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    @property
    def connection(self) -> dict[str, Any]:
        """The way there as a catalog has it."""
        return {
            "kind": "ssh",
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "host_key": [self.fingerprint],
            "identity_file": str(self.identity),
            "workdir": str(self.folder),
        }


@contextmanager
def machines(names: Sequence[str] = NAMES) -> Iterator[list[Machine]]:
    """The machines, for as long as the block lasts.

    sshd has its defaults (MaxSessions 10, MaxStartups 10:30:100), but looks up no names.
    """
    with TemporaryDirectory(prefix="park-") as park, ExitStack() as stack:
        made = []
        for name in names:
            folder = Path(park, name)
            folder.mkdir()
            server = start_sshd(
                folder,
                MaxStartups="10:30:100",
                LogLevel="INFO",
                SetEnv=f"SHLVL=5 {PLACE}={folder}",
            )
            stack.callback(server.stop)
            made.append(_machine(name, server))
        yield made


def _machine(name: str, server: SshServer) -> Machine:
    return Machine(
        name,
        server.port,
        server.process.pid,
        server.user,
        server.folder,
        server.identity_file,
        server.folder / "host_key.pub",
        server.host_key,
    )


def known_hosts(park: Sequence[Machine], folder: Path) -> Path:
    """A file of known hosts with all of them."""
    path = folder / "known_hosts"
    path.write_text("".join(machine.known for machine in park), "utf-8")
    return path


def expect(folders: Mapping[str, Path], scripts: Sequence[str]) -> None:
    """Raises :class:`Broken` unless every machine's journal tells each script exactly once.

    The journals are taken away: the next batch begins with none.
    """
    wrong = []
    for machine, folder in folders.items():
        journal = folder / JOURNAL
        lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
        wrong += [f"{machine}: {fault}" for fault in _faults(Counter(lines), scripts)]
        journal.unlink(missing_ok=True)
    if wrong:
        raise Broken(f"{len(wrong)} scripts were lost, doubled or strange: {'; '.join(wrong[:9])}")


def _faults(found: Counter[str], scripts: Sequence[str]) -> Iterator[str]:
    for each in scripts:
        if found[each] != 1:
            yield f"{each} ran {found[each]} times"
    for each in found.keys() - set(scripts):
        yield f"nobody asked for {each!r}"
