"""A script's output on its way here, and the news of how it began and ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from deployengine.steps import processes, ticket
from deployengine.steps.contract import State, Status
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.wake import Wake


@dataclass(frozen=True, slots=True)
class Heard:
    """What a start was told: ``begun``, ``attached``, ``fault`` or ``waits``, and more."""

    what: str
    rest: str = ""


class Stream:
    """Follows one run over one channel, from a byte of its output on.

    It holds a pipe until it is hushed.
    """

    def __init__(self, machine: SshMachine, offset: int, verb: str, *arguments: str, **sent: bytes):
        """Runs the verb on the machine. Raises ``MachineUnreachable`` when nothing was begun."""
        self._bell = Wake()
        self._hushed = False
        self._lock = threading.Lock()
        self._offset = offset
        try:
            self.channel = machine.begin(self._ring, verb, *arguments, **sent)
        except BaseException:
            self.hush()
            raise

    def _ring(self) -> None:
        with self._lock:
            if not self._hushed:
                self._bell.set()

    def hush(self) -> None:
        """Gives the pipe back; nobody may wait any more. What has come may still be read."""
        with self._lock:
            if not self._hushed:
                self._hushed = True
                self._bell.close()

    def close(self) -> None:
        """Nobody wants the rest of it."""
        self.hush()
        self.channel.forget()

    def forget_news(self) -> None:
        """What is told from now on ends the next wait; so look at the stream after this."""
        with self._lock:
            if not self._hushed:
                self._bell.clear()

    def wait(self, seconds: float, wake: Wake | None) -> None:
        """Blocks until there is news, the other bell rings, or the time is up."""
        processes.until_readable((self._bell, wake), seconds)

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.channel.closed.is_set()

    @property
    def full(self) -> bool:
        """Whether the machine has to wait until somebody reads what has come."""
        return self.channel.paused

    @property
    def heard(self) -> Heard | None:
        """How the start went; ``None`` as long as nothing is known."""
        channel = self.channel
        if "begun" in channel.said:
            return Heard("begun")
        if channel.words("attached") is not None:
            return Heard("attached")
        if (fault := channel.words("fault")) is not None:
            return Heard("fault", fault)
        if (whom := channel.words("waits")) is not None:
            return Heard("waits", whom)
        return None

    @property
    def end(self) -> Status | None:
        """How the run ended; ``None`` as long as it is not known, or was not heard."""
        told = self.channel.words("end") if self.over else None
        return None if told is None or not self.channel.whole else status_of(told)

    @property
    def outputs(self) -> dict[str, str]:
        """What ``set_output`` stored, once the run has ended."""
        return ticket.parse_outputs(bytes(self.channel.tail or b""))

    @property
    def came_to(self) -> int:
        """Up to which byte of the output all of it has come."""
        return self._offset + self.channel.length

    def read(self, offset: int, limit: int) -> bytes | None:
        """A piece of the output; ``None`` where it is not here."""
        if offset < self._offset:
            return None
        return self.channel.read(offset - self._offset, limit)


def status_of(told: str) -> Status:
    """The status that the agent's words mean."""
    word, _, rest = told.partition(" ")
    if word == "exited":
        code, *room = rest.split()
        return Status(State.EXITED, int(code), disk_full=room == ["full"])
    if word == "running":
        return Status(State.RUNNING, seconds=float(rest.split()[0]))
    if word == "unknown":
        return Status(State.UNKNOWN, known=rest)
    return Status(State.ABSENT)
