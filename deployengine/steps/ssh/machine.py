"""A machine that is reached by SSH: its connections, and its answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from deployengine.steps.errors import MachineUnfit, MachineUnreachable
from deployengine.steps.ssh import agent
from deployengine.steps.ssh.channel import Channel
from deployengine.steps.ssh.faults import (
    BROKEN,
    ConnectionBroke,
    died,
    no_agent,
    raise_fault,
)
from deployengine.steps.ssh.leftovers import Leftovers
from deployengine.steps.ssh.login import log_in
from deployengine.steps.ssh.loop import the_loop
from deployengine.steps.ssh.way import LONGEST_USE, Way

log = logging.getLogger("deployengine.steps")

#: Commands at once over one connection: OpenSSH allows ten by default, and one that ends counts
#: for a moment longer.
MOST_CHANNELS = 8
#: Seconds after which a connection that nobody uses is closed.
IDLE = 120.0
#: Seconds that an answer may take.
ANSWER_WITHIN = 120.0
#: Logins at once in one process: each costs a key exchange, and a host that does not answer keeps
#: its place for ten seconds.
LOGINS = 64

#: Bytes of a file that are sent at once.
_PIECE = 262_144

_logins = asyncio.Semaphore(LOGINS)


@dataclass(eq=False, slots=True)
class _Line:
    """One connection and the way it was made by, with how many commands run over it and may."""

    connection: asyncssh.SSHClientConnection
    way: Way
    #: On the loop's clock; after that no command is begun over it.
    good_until: float
    #: On the loop's clock; what only looks around is no use.
    last_used: float = 0.0
    in_use: int = 0
    most: int = MOST_CHANNELS
    closing: asyncio.TimerHandle | None = None


class SshMachine:
    """Connections to one machine, opened when they are needed, and the verbs of its agent.

    ``find_way`` says how it is reached today; it is asked for each new connection. ``shell`` reads
    the agent there. Methods block the calling thread.
    """

    def __init__(self, name: str, find_way: Callable[[], Way], shell: str = "/bin/sh") -> None:
        self.name = name
        self._find_way = find_way
        self._shell = shell
        self._lines: list[_Line] = []
        self._logging_in = asyncio.Lock()
        self._way: Way | None = None
        #: What the last look at the machine found, one fact a line.
        self.facts: dict[str, list[str]] = {}
        self.leftovers = Leftovers(name, self._remove)

    # ---- for threads ----

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(self._lines)

    def ask(
        self,
        verb: str,
        *arguments: str,
        stdin: bytes | Path = b"",
        within: float = ANSWER_WITHIN,
        what: str = "",
        passing: bool = False,
    ) -> bytes:
        """What the agent answers; asked a second time where the connection broke meanwhile.

        Every verb may be repeated. ``stdin`` may be a file, which is read piece by piece.
        ``passing``: it is no reason to keep a connection open. Raises
        :class:`MachineUnreachable`, and what the agent's faults stand for.
        """
        return the_loop().run(self._ask(verb, arguments, stdin, within, what, passing=passing))

    def begin(
        self, news: Callable[[], None], verb: str, *arguments: str, stdin: bytes = b""
    ) -> Channel:
        """Runs a verb, and returns when it has begun there; what comes of it comes to the channel.

        Raises :class:`MachineUnreachable` where nothing of ``stdin`` was sent.
        """
        return the_loop().run(self._begin(partial(Channel, news), verb, arguments, stdin))

    def connect_once(self) -> None:
        """Makes sure that the machine was seen by this process, so that :attr:`facts` are known."""
        if not self.facts:
            the_loop().run(self._free_line())

    def look_over(self) -> dict[str, list[str]]:
        """Looks at the machine anew; what it found, one fact a line, by its first word."""
        self.facts = _facts(self.ask("check"))
        return self.facts

    def close(self) -> None:
        """Closes all connections."""
        the_loop().run(self._close())

    def retire(self) -> Future[None]:
        """Removes what it was to remove soon, and closes all connections."""
        return the_loop().begin(self._retire())

    @property
    def umask(self) -> str:
        """What scripts shall have."""
        return (self.facts.get("umask") or ["0022"])[0]

    @property
    def way(self) -> Way:
        """How the machine was reached last."""
        return self._way or self._find_way()

    # ---- in the loop's thread ----

    async def _ask(
        self,
        verb: str,
        arguments: tuple[str, ...],
        stdin: bytes | Path,
        within: float,
        what: str,
        *,
        passing: bool = False,
    ) -> bytes:
        for last in (False, True):
            channel: Channel | None = None
            try:
                async with asyncio.timeout(within):
                    channel = await self._begin(Channel, verb, arguments, stdin, passing=passing)
                    await channel.over.wait()
            except TimeoutError as error:
                if channel is not None:
                    channel.forget()
                raise MachineUnfit(
                    f"machine {self.name}: it did not answer {verb} within {within:g} s; see what "
                    "it is busy with"
                ) from error
            if channel.whole and channel.greeted:
                raise_fault(self.name, channel, what)
                if channel.status != 0:
                    raise died(self.name, channel, what or verb)
                return bytes(channel.read(0, 1 << 40) or b"")
            if channel.whole and last:
                raise no_agent(self.name, channel)
            if channel.whole:
                await self._close()  # the agent is gone from there: it is sent along once more
        raise MachineUnreachable(
            f"machine {self.name}: the connection broke while it was asked for {verb}; see to the "
            "network, then try again"
        )

    async def _begin(
        self,
        make: Callable[[], Channel],
        verb: str,
        arguments: tuple[str, ...],
        stdin: bytes | Path,
        *,
        passing: bool = False,
    ) -> Channel:
        line, channel = await self._open(make, verb, arguments)
        if not passing:
            line.last_used = asyncio.get_running_loop().time()
        _when_closed(channel.remote, lambda: self._give_back(line))
        try:
            if isinstance(stdin, Path):
                await _pour(stdin, channel)
            elif stdin:
                channel.remote.write(stdin)
            channel.remote.write_eof()
        except (asyncssh.Error, BrokenPipeError) as error:
            log.debug("machine %s: %s", self.name, error)  # its end is told to the channel
        return channel

    async def _open(
        self, make: Callable[[], Channel], verb: str, arguments: tuple[str, ...]
    ) -> tuple[_Line, Channel]:
        """A connection, and the channel in which the command has begun and waits for its stdin.

        A connection that was idle may turn out to be dead only now; then another one is made.
        """
        troubles = 0
        while True:
            line = await self._free_line()
            way = line.way
            command = agent.call(way.workdir, way.tickets, self._shell, verb, *arguments)
            line.in_use += 1
            channel = make()
            try:
                await _run(line, command, channel)
                return line, channel
            except asyncssh.ChannelOpenError as error:
                line.in_use -= 1
                if line.in_use == 0:
                    raise MachineUnreachable(
                        f"machine {self.name}: it opens no session ({error.reason}); see "
                        "MaxSessions in its sshd_config"
                    ) from error
                line.most = line.in_use
            except (OSError, asyncssh.Error) as error:
                line.in_use -= 1
                self._drop(line)
                troubles += 1
                if troubles > 1:
                    raise MachineUnreachable(
                        f"machine {self.name}: the connection broke ({error}); see to the network, "
                        "then try again"
                    ) from error

    async def _free_line(self) -> _Line:
        found = self._first_free()
        if found is not None:
            return found
        async with self._logging_in:
            found = self._first_free()  # somebody else may have logged in meanwhile
            if found is None:
                found = await self._new_line()
            return found

    def _first_free(self) -> _Line | None:
        for line in [line for line in self._lines if line.connection.is_closed()]:
            self._drop(line)
        now = asyncio.get_running_loop().time()
        usable = (line for line in self._lines if now < line.good_until)
        free = (line for line in usable if line.in_use < line.most)
        found = next(free, None)
        if found is not None and found.closing is not None:
            found.closing.cancel()
            found.closing = None
        return found

    async def _new_line(self) -> _Line:
        """One that breaks while it is made is made once more: nothing was asked there yet."""
        try:
            return await self._made_line()
        except ConnectionBroke as error:
            log.info("once more: %s", error)
            return await self._made_line()

    async def _made_line(self) -> _Line:
        way = await asyncio.to_thread(self._find_way)
        async with _logins:
            connection = await log_in(way)
        now = asyncio.get_running_loop().time()
        line = _Line(connection, way, now + LONGEST_USE, now)
        try:
            await self._install(line)
        except BaseException:
            connection.abort()
            raise
        self._way = way
        self._lines.append(line)
        return line

    async def _install(self, line: _Line) -> None:
        """Sends the agent along, and hears what the machine is and has."""
        channel = await self._installed(line, anew=False)
        if channel.whole and not channel.greeted:
            channel = await self._installed(line, anew=True)
        if not (channel.whole and channel.greeted):
            raise no_agent(self.name, channel)
        if channel.status != 0:
            raise died(self.name, channel, "check")
        self.facts = _facts(channel.read(0, 1 << 20) or b"")

    async def _installed(self, line: _Line, *, anew: bool) -> Channel:
        way = line.way
        text = agent.installation(way.workdir, way.tickets, self._shell, anew=anew)
        channel = Channel()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await _run(line, f"{self._shell} -s", channel)
                channel.remote.write(text.encode())
                channel.remote.write_eof()
                await channel.over.wait()
        except (OSError, asyncssh.Error, TimeoutError) as error:
            if isinstance(error, BROKEN) or line.connection.is_closed():
                raise no_agent(self.name, channel) from error
            raise MachineUnreachable(
                f"machine {self.name}: it answers no command ({error}); see to its sshd, and to "
                "what the login shell does there"
            ) from error
        raise_fault(self.name, channel, "")
        return channel

    def _give_back(self, line: _Line) -> None:
        line.in_use -= 1
        if line.in_use == 0 and line in self._lines:
            loop = asyncio.get_running_loop()
            line.closing = loop.call_at(line.last_used + IDLE, self._drop, line)

    def _drop(self, line: _Line) -> None:
        if line in self._lines:
            self._lines.remove(line)
        line.connection.close()

    async def _remove(self, tickets: list[str]) -> bytes:
        return await self._ask("clean", tuple(tickets), b"", ANSWER_WITHIN, "its old tickets")

    async def _retire(self) -> None:
        await self.leftovers.remove()
        await self._close()

    async def _close(self) -> None:
        for line in tuple(self._lines):
            self._drop(line)


def _facts(told: bytes) -> dict[str, list[str]]:
    """What a look at the machine found, by the first word of each line."""
    facts: dict[str, list[str]] = {}
    for each in told.decode("utf-8", "replace").splitlines():
        word, _, rest = each.partition(" ")
        facts.setdefault(word, []).append(rest)
    return facts


async def _run(line: _Line, command: str, channel: Channel) -> None:
    """Begins a command as the user that scripts run as."""
    await line.connection.create_session(
        lambda: channel,
        agent.as_user(command, line.way.become),
        encoding=None,
        request_pty=False,
    )


async def _pour(file: Path, channel: Channel) -> None:
    """Sends a file as fast as the machine takes it."""
    with file.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, _PIECE):
            await channel.writable.wait()
            if channel.closed.is_set():
                return
            channel.remote.write(piece)


def _when_closed(channel: Any, act: Callable[[], None]) -> None:
    async def wait() -> None:
        await channel.wait_closed()
        act()

    task = asyncio.ensure_future(wait())
    _waiting.add(task)
    task.add_done_callback(_waiting.discard)


_waiting: set[Any] = set()
