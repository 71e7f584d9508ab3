from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from deployengine.steps.contract import Runner, Started, Status, Ticket, Work, WorkTicket
from deployengine.steps.local import LocalRunner
from deployengine.steps.processes import look
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import way_to
from deployengine.steps.ticket import parse_state
from tests.steps.gates import Gate, until
from tests.support.fleet import host_user
from tests.support.needs import need_root
from tests.support.sshd import SshServer, start_sshd

PATIENCE = timedelta(seconds=20)

NewRunner = Callable[[], Runner]


@cache
def sshd() -> SshServer:
    """One sshd for all tests of this process; it ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    server = start_sshd(folder)
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.stop)
    return server


def _ssh(shell: str = "/bin/sh") -> Callable[[Path], Runner]:
    def make(workdir: Path) -> Runner:
        connection = sshd().connection(workdir, tickets=tickets_of(workdir))
        way = way_to("target", connection, (), lambda _set, _variable: "")
        return SshRunner(SshMachine("target", lambda: way, shell))

    return make


@cache
def unprivileged_sshd() -> SshServer:
    """An sshd for a user that is not root and may write nothing at home."""
    need_root()
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    folder.chmod(0o755)
    stack = ExitStack()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    user = stack.enter_context(host_user(f"de{os.getpid() % 1000000}", folder))
    os.chown(folder / "home", 0, 0)
    (folder / "home").chmod(0o555)
    server = start_sshd(folder, user)
    stack.callback(server.stop)
    atexit.register(stack.close)
    return server


def _as_somebody(workdir: Path) -> Runner:
    server = unprivileged_sshd()
    tickets = Path(tickets_of(workdir))
    tickets.mkdir()
    shutil.chown(tickets, server.user)
    workdir.chmod(0o777)
    connection = server.connection(workdir, tickets=str(tickets))
    way = way_to("target", connection, (), lambda _set, _variable: "")
    return SshRunner(SshMachine("target", lambda: way))


def tickets_of(workdir: Path) -> str:
    """Where the tickets of a machine with this work folder lie in tests."""
    return f"{workdir}.tickets"


def _local(*shell: str, pidfds: bool | None = None) -> Callable[[Path], Runner]:
    def make(workdir: Path) -> Runner:
        program = shutil.which(shell[0])
        assert program is not None
        tickets = tickets_of(workdir)
        return LocalRunner(str(workdir), tickets, shell=(program, *shell[1:]), pidfds=pidfds)

    return make


#: Shells that this host has beside the one that is its /bin/sh.
OTHER_SHELLS = [
    words
    for words in (["bash"], ["dash"], ["busybox", "sh"])
    if (found := shutil.which(words[0])) and Path(found).resolve() != Path("/bin/sh").resolve()
]

#: Every implementation of the contract; the suite in test_contract.py holds for each.
#: What else they have in common is tried with :data:`MAIN`.
IMPLEMENTATIONS: Mapping[str, Callable[[Path], Runner]] = {
    "local": _local("/bin/sh"),
    # What else of shells the host has: none of them must be there.
    **{f"local-{name}": _local(name, *words) for name, *words in OTHER_SHELLS},
    "local-without-pidfds": _local("/bin/sh", pidfds=False),
    "ssh": _ssh(),
    "ssh-as-somebody-with-a-home-that-is-read-only": _as_somebody,
    # As on BSD, by what ps tells.
    "ssh-without-proc": _ssh("env DEPLOYENGINE_PROC=/nowhere /bin/sh"),
    **{f"ssh-{name}": _ssh(" ".join((name, *words))) for name, *words in OTHER_SHELLS},
}


MAIN = [
    name
    for name in ("local", "local-without-pidfds", "ssh", "ssh-busybox")
    if name in IMPLEMENTATIONS
]


@pytest.fixture
def workdir() -> Iterator[Path]:
    """A machine's work folder, in a place that others than this user may come to."""
    with tempfile.TemporaryDirectory(prefix="steps-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "machine"
        folder.mkdir()
        yield folder


@pytest.fixture
def ready(workdir: Path) -> Iterator[Gate]:
    with Gate(workdir / "ready") as gate:
        yield gate


@pytest.fixture
def go(workdir: Path) -> Iterator[Gate]:
    with Gate(workdir / "go") as gate:
        yield gate


@pytest.fixture
def fresh() -> Callable[..., Work]:
    """Makes works with names of their own."""
    numbers = count(1)

    def make(script: str, **more: object) -> Work:
        values = {"ticket": f"run-{next(numbers)}", "fence": 1, "script": script, **more}
        return Work(**values)  # type: ignore[arg-type]

    return make


def begin(runner: Runner, work: Work) -> WorkTicket:
    """A ticket whose script this call began."""
    ticket = runner.ticket(work)
    assert ticket.start() is Started.FIRST
    return ticket


def end(ticket: Ticket) -> Status:
    """The status after the run has ended by itself."""
    return ticket.wait(PATIENCE)


def leader_of(ticket: str, workdir: Path) -> int:
    """The process of a ticket's wrapper, by its record."""
    begun = parse_state(Path(tickets_of(workdir), ticket, "state").read_bytes())
    assert begun is not None
    assert begun.leader is not None
    return begun.leader.pid


def lives(pid: int) -> bool:
    """Whether a process of whomever can still do something."""
    process = look(pid)
    return process is not None and process.alive


def until_dead(pid: int) -> None:
    """Waits for a process of whomever to be gone."""
    until(lambda: not lives(pid), f"process {pid} does not end")
