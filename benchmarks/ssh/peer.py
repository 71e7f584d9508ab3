"""One peer: its program in a process of its own, told when to begin, and what that took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ssh.engine import CAP
from benchmarks.ssh.park import PLACE, Machine, expect, known_hosts
from benchmarks.ssh.processes import family_seconds
from benchmarks.ssh.scripts import Kind
from benchmarks.system import Broken

_HERE = Path(__file__).parent
REQUIREMENTS = _HERE / "requirements.txt"


@dataclass(frozen=True, slots=True)
class Peer:
    """How a tool is asked to do the same; ``way`` and ``module`` are words for its program."""

    name: str
    package: str
    program: str
    way: str
    how: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took: wall seconds, CPU seconds of the controlling side and of the machines."""

    wall: float
    controller: float
    machines: float


def environment(folder: Path) -> Path:
    """The Python of the peers' virtual environment, which is made unless it is there."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing the peers into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
    subprocess.run(install, check=True, stdout=sys.stderr)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed there, by name."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=json"], check=True, stdout=subprocess.PIPE
    )
    return {each["name"]: each["version"] for each in json.loads(listed.stdout)}


def run(peer: Peer, python: Path, park: Sequence[Machine], kind: Kind, number: int) -> Effort:
    """Lets a peer run so many scripts on all machines; raises :class:`Broken` rather than lie."""
    names = kind.names(number)
    with _ready(peer, python, park, kind, names) as process:
        controller, machines = family_seconds([process.pid]), _machines(park)
        begun = time.perf_counter()
        _say(process)
        _await(process, peer, "done")
        wall = time.perf_counter() - begun
        controller = family_seconds([process.pid]) - controller
        machines = _machines(park) - machines
    expect({machine.name: machine.folder for machine in park}, names)
    return Effort(wall, controller, machines)


@contextmanager
def _ready(
    peer: Peer, python: Path, park: Sequence[Machine], kind: Kind, names: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    """The peer's process, connected to all machines."""
    with TemporaryDirectory(prefix="peer-") as folder:
        task = {
            "machines": [
                {**asdict(machine), "folder": "", "host_key": "", "identity": str(machine.identity)}
                for machine in park
            ],
            "known_hosts": str(known_hosts(park, Path(folder))),
            # A session begins in the user's home, whichever machine it is.
            "scripts": [
                {"name": name, "text": f'cd "${PLACE}"\n{kind.text(name)}'} for name in names
            ],
            "pool": CAP,
            "way": peer.way,
            "module": peer.module,
            "python": sys.executable,
            "folder": folder,
        }
        process = subprocess.Popen(
            [str(python), str(_HERE / "peers" / f"{peer.program}.py"), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                _await(process, peer, "ready")
                yield process
                _say(process)
            except BaseException:
                process.kill()
                raise


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _await(process: subprocess.Popen[str], peer: Peer, word: str) -> None:
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if said != word:
        raise Broken(f"{peer.name} said {said!r} instead of {word!r}")


def _machines(park: Sequence[Machine]) -> float:
    return family_seconds(machine.pid for machine in park)
