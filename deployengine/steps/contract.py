"""The door to machines: what is run (:class:`Work`), and one run of it (:class:`Ticket`).

A ticket is a folder on the machine, not an object in a process. Any process that knows its name may
follow it, read it and end it; the objects here are handles and may be dropped at any time.

::

    ABSENT --start--> RUNNING --the script ends--> EXITED
       |                 `--the machine goes down--> UNKNOWN   (begun, no process, no recorded end)
       `--cancel--> EXITED (143): it never runs, whoever starts it later
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Protocol

from deployengine.steps.checkup import Checkup
from deployengine.steps.errors import WorkRefused
from deployengine.steps.wake import Wake

#: What a script gets between TERM and KILL when it is cancelled.
GRACE = timedelta(seconds=10)

_TICKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


class State(Enum):
    """Where a run is."""

    #: No script has begun under this name.
    ABSENT = "absent"
    #: The script, or a process that it left behind without a recorded end, is alive.
    RUNNING = "running"
    #: The script ended and its exit status is recorded. It will never run again.
    EXITED = "exited"
    #: It began, its processes are gone, and nobody knows how it ended.
    UNKNOWN = "unknown"


class Started(Enum):
    """What a call of ``start`` came to."""

    #: This call began the script.
    FIRST = "first"
    #: Somebody began it (or cancelled it) before; nothing was started.
    ATTACHED = "attached"
    #: The bell rang or the time was up while it waited for the machine; nothing was started.
    CALLED_OFF = "called off"


class OnStale(Enum):
    """What a start does about an older script that still holds what it needs."""

    #: It waits for the older one's end.
    WAIT = "wait"
    #: It ends those with a lower fence, as by ``cancel``; it waits for any other.
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Lock:
    """What a ticket holds on its machine for as long as its script lives."""

    resource: str
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a run; when EXITED its exit code: 0 to 255, 128+n for death by signal n.

    Two are equal when state and exit code are; the rest is told for people and deadlines.
    """

    state: State
    exit_code: int | None = None
    #: When RUNNING: for how long, by the machine's own clock.
    seconds: float | None = field(default=None, compare=False)
    #: When UNKNOWN: one sentence of what is known.
    known: str = field(default="", compare=False)
    #: When EXITED: whether there was no room left then for what the script printed and set.
    disk_full: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be run. Raises :class:`WorkRefused` where no process could be given this."""

    #: Unique per (step run, attempt); becomes a folder's name.
    ticket: str
    #: The newest authority number. Recorded with the run; a later start with another one attaches.
    fence: int
    #: Text with its variables inserted. May begin with a ``#!`` line, else ``/bin/sh`` reads it.
    script: str = field(repr=False)
    #: Added to the environment of the script; may hold secrets.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What ``get_variable NAME`` finds inside the script; may hold secrets.
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What the script gets between TERM and KILL when it is cancelled.
    grace: timedelta = GRACE
    #: What it holds on its machine. The first names the machine as a whole: whatever runs there
    #: has it, shared or exclusive.
    locks: tuple[Lock, ...] = ()
    #: What its start does about an older script that still holds one of them.
    on_stale: OnStale = OnStale.WAIT
    #: The fences under which this run was begun before, if at all. A record with another one is of
    #: another run with the same name, of a database that is no more. ``None``: any will do.
    earlier: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_ticket_name(self.ticket)
        if "\0" in self.script:
            raise WorkRefused(f"ticket {self.ticket}: the script holds a NUL byte; remove it")
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                raise WorkRefused(
                    f"ticket {self.ticket}: environment variable {name!r} can't be handed to a "
                    "process (a NUL byte, or = in its name); leave it out or encode its value"
                )
        for name, value in self.variables.items():
            if "\0" in name + value:
                raise WorkRefused(
                    f"ticket {self.ticket}: variable {name!r} holds a NUL byte, which no shell can "
                    "pass on; encode its value"
                )


def is_ticket_name(name: str) -> bool:
    """Whether the name is safe as a folder name on every machine."""
    return _TICKET_NAME.fullmatch(name) is not None


def check_ticket_name(name: str) -> None:
    """Raises :class:`WorkRefused` unless it is the name of a ticket."""
    if not is_ticket_name(name):
        raise WorkRefused(
            f"ticket name {name!r} is not usable as a folder name; use at most 127 letters, "
            "digits, dots, underscores and dashes, a letter or digit first"
        )


class Ticket(Protocol):
    """One run on one machine. Every method may raise :class:`StepError` and may be repeated."""

    def status(self) -> Status:
        """Where the run is now; changes nothing."""

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:
        """Blocks until the run is no longer RUNNING, or the bell rings, or the time is up."""

    def output(self, offset: int, limit: int = 65536) -> bytes:
        """Up to ``limit`` bytes of what the script wrote, from byte ``offset``; none at the end."""

    def outputs(self) -> dict[str, str]:
        """What ``set_output NAME VALUE`` stored so far; the last value of each name."""

    def cancel(self) -> None:
        """Ends the whole process group (TERM, grace, KILL); returns when nothing runs or will.

        A process that made itself a session of its own is a service, and stays. A run that
        was not started never will be; one that ended by itself is left as it is. Raises
        :class:`StillRunning` if processes outlive KILL.
        """

    def clean(self) -> None:
        """Removes every trace of the ticket; raises :class:`StillRunning` while it runs.

        Revoke the fence of whoever might yet start it before: a start that comes in between the
        look and the removal finds its script gone. What was removed half-way is removed wholly.
        """

    def clean_soon(self) -> None:
        """Removes it as by ``clean`` within seconds, maybe together with others; never raises.

        For a run whose end is on record. What is left all the same is found by whoever tidies up.
        """


class WorkTicket(Ticket, Protocol):
    """A ticket together with its work, so that it can be started."""

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        """Begins the script unless it ever began before; when it returns, the run is on record.

        A starter that died half-way is no obstacle: the next start begins the script, once. While
        an older script holds the machine it waits, without limit when ``patience`` is ``None``.
        Raises :class:`StaleFence` where a newer fence was seen, or this one was revoked.
        """


class Runner(Protocol):
    """The way to the tickets of one machine."""

    def ticket(self, work: Work) -> WorkTicket:
        """The run of this work; touches nothing until it is started."""

    def attach(self, ticket: str, grace: timedelta = GRACE) -> Ticket:
        """The run of this name, begun by whomever."""

    def revoke(self, fence: int) -> None:
        """When it returns, no start with this fence begins a script any more.

        Whoever made that start, and however late it comes. Look at the ticket afterwards: what is
        ABSENT then stays so until a start with another fence; what is RUNNING may yet turn out
        ABSENT, if it was just about to begin. Repeating it changes nothing.
        """

    def tickets(self) -> list[str]:
        """The names of all tickets on the machine, those too that were cleaned half-way."""

    def check(self) -> Checkup:
        """Looks whether the machine can carry tickets; runs nothing of theirs, waits for no lock.

        Raises :class:`MachineUnreachable`, :class:`MachineUnfit`, :class:`WorkdirUnusable` or
        :class:`DiskFull`.
        """

    def has(self, digest: str) -> bool:
        """Whether the package with this digest is on the machine; it counts as used now."""

    def deliver(self, archive: Path, digest: str) -> None:
        """Brings a package to ``.packages/<digest>`` beside the tickets; it may be there already.

        ``archive`` is a tar packed by gzip, and ``digest`` the SHA-256 of the tar in it, in
        hexadecimal: what ``gzip -dc`` writes is verified on the machine before the file is moved
        into its place. So what is there is whole, and who dies half-way is no obstacle to the next.
        Raises :class:`DamagedOnTheWay` where it is another one.
        """
