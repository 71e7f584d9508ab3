"""Hosts in between: one connection to each, for all machines that are reached by way of it.

An sshd lets few log in at the same time (``MaxStartups``), and thirty machines behind one such host
would be thirty logins there at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

import asyncssh

from deployengine.steps.ssh.way import LONGEST_USE

Login = Callable[[], Coroutine[Any, Any, asyncssh.SSHClientConnection]]


class Passages:
    """The connections to hosts in between; of the loop's thread."""

    def __init__(self) -> None:
        self._shared: dict[Hashable, _Shared] = {}

    async def enter(self, host: Hashable, log_in: Login) -> Passage:
        """A share in the connection to a host; there is one login, whoever waits for it.

        Raises what the login raises.
        """
        shared = self._shared.get(host)
        if shared is None or not shared.usable:
            shared = self._shared[host] = _Shared(log_in)
        passage = Passage(shared)
        try:
            await asyncio.shield(shared.login)
        except BaseException:
            passage.close()
            raise
        return passage


class _Shared:
    """A connection that is there or comes about, with how many need it; closed when none does."""

    def __init__(self, log_in: Login) -> None:
        self.login = asyncio.ensure_future(log_in())
        self._good_until = asyncio.get_running_loop().time() + LONGEST_USE
        self.users = 0

    @property
    def usable(self) -> bool:
        if asyncio.get_running_loop().time() >= self._good_until:
            return False
        made = self._made
        return not self.login.done() or (made is not None and not made.is_closed())

    @property
    def _made(self) -> asyncssh.SSHClientConnection | None:
        """The connection, if the login has come to one."""
        well = self.login.done() and not self.login.cancelled() and not self.login.exception()
        return self.login.result() if well else None

    def leave(self) -> None:
        self.users -= 1
        if self.users > 0:
            return
        if not self.login.done():
            self.login.cancel()
        elif self._made is not None:
            self._made.close()
        self._good_until = 0.0  # a connection that is closing does not say so yet


class Passage:
    """One machine's share in the connection to a host in between, until it is closed."""

    def __init__(self, shared: _Shared) -> None:
        self._shared: _Shared | None = shared
        self._login = shared.login
        shared.users += 1

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """The way on from there."""
        return self._login.result()

    def close(self) -> None:
        """Gives the share back, once."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.leave()

    async def wait_closed(self) -> None:
        """As a tunnel of asyncssh's is asked; others may go on using the connection."""
