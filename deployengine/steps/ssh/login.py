"""Logging in to a machine, by way of others if need be."""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh

from deployengine.steps.errors import MachineUnreachable
from deployengine.steps.ssh import host_keys
from deployengine.steps.ssh.faults import BROKEN, ConnectionBroke
from deployengine.steps.ssh.host_keys import FAMILIES, NOBODY, Watch
from deployengine.steps.ssh.passages import Passage, Passages
from deployengine.steps.ssh.way import Way

#: Seconds until a host that does not answer is given up, and until a login is.
CONNECT_WITHIN = 10
LOGIN_WITHIN = 20
#: How many signs of life may stay out before a connection is dead.
KEEPALIVES = 3

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^]]+)\]|(?P<host>[^:@\[\]/]+))(?::(?P<port>\d+))?/?"
)

#: Ways to hosts in between, the nearest first.
Hosts = tuple[Way, ...]

_passages = Passages()

# asyncssh tells each connection and channel at INFO.
logging.getLogger("asyncssh").setLevel(logging.WARNING)


async def log_in(way: Way) -> asyncssh.SSHClientConnection:
    """A connection to the machine; raises :class:`MachineUnreachable` with the reason."""
    door = await _door(way)
    return await _log_in(way, door, await _hosts_between(way, door))


async def show_key(way: Way) -> asyncssh.SSHKey:
    """The host key that the machine shows, whoever vouches for it; nobody logs in.

    Raises :class:`MachineUnreachable`.
    """
    door = await _door(way)
    passage = await _passage(way, await _hosts_between(way, door))
    watch = Watch(())
    try:
        tunnel = passage.connection if passage else None
        (await _connect(way, door, watch, tunnel, NOBODY)).close()
    except asyncssh.HostKeyNotVerifiable as error:
        if watch.shown is None:
            raise _unreachable(way, "it shows a host key that cannot be read") from error
    finally:
        if passage is not None:
            passage.close()
    assert watch.shown is not None
    return watch.shown


async def _log_in(way: Way, door: _Door, between: Hosts) -> asyncssh.SSHClientConnection:
    passage = await _passage(way, between)
    if passage is None:
        return await _enter(way, door, None)
    try:
        connection = await _enter(way, door, passage.connection)
    except BaseException:
        passage.close()
        raise
    connection.set_tunnel(passage)  # it ends with the connection
    return connection


async def _passage(way: Way, hosts: Hosts) -> Passage | None:
    """A share in the connection to the last of these hosts, each by way of those before it."""
    if not hosts:
        return None
    try:
        return await _passages.enter(hosts, lambda: _log_in_between(hosts[-1], hosts[:-1]))
    except MachineUnreachable as error:
        raise MachineUnreachable(f"{way.subject}on the way there: {error}") from error


async def _log_in_between(host: Way, before: Hosts) -> asyncssh.SSHClientConnection:
    """With the machine's key, or as the ssh_config says."""
    try:
        return await _log_in(host, await _door(host), before)
    except LoginRefused:
        if not (host.identity or host.identity_file):
            raise
    own = replace(host, identity="", identity_file="", passphrase="")
    return await _log_in(own, await _door(own), before)


async def _hosts_between(way: Way, door: _Door, seen: Hosts = ()) -> Hosts:
    """The hosts in between, the nearest first; it may have others before it by the ssh_config."""
    hosts = tuple(_host(way, hop.strip()) for hop in (way.jump or door.jump).split(",") if hop)
    if not hosts:
        return ()
    nearest = hosts[0]
    if nearest in seen:
        raise _unreachable(way, f"by the ssh_config the way to {nearest.address} leads through it")
    return await _hosts_between(nearest, await _door(nearest), (*seen, nearest)) + hosts


class LoginRefused(MachineUnreachable):
    """The machine is there, and does not let this user in."""


@dataclass(frozen=True, slots=True)
class _Door:
    """What the catalog and the user's ``ssh_config`` come to together."""

    given: dict[str, Any]
    host: str
    port: int
    user: str
    jump: str
    known_hosts: Any


async def _door(way: Way) -> _Door:
    given: dict[str, Any] = {
        "config": [str(Path(way.config).expanduser())] if way.config else (),
        "passphrase": way.passphrase or None,
        "password": way.password or None,
        "password_auth": bool(way.password),
        "kbdint_auth": bool(way.password),
        "gss_auth": False,
        "gss_kex": False,
        "host_based_auth": False,
        "send_env": None,
        "connect_timeout": CONNECT_WITHIN,
        "login_timeout": LOGIN_WITHIN,
        "keepalive_interval": way.keepalive.total_seconds(),
        "keepalive_count_max": KEEPALIVES,
        "encoding": None,
    }
    if way.user:
        given["username"] = way.user
    if way.port:
        given["port"] = way.port
    if way.known_hosts:
        file = Path(way.known_hosts).expanduser()
        given["known_hosts"] = str(file) if file.exists() else NOBODY
    if way.identity or way.identity_file or way.password:
        given["agent_path"] = None
    if way.identity:
        given["client_keys"] = [way.identity.encode()]
    elif way.identity_file:
        given["client_keys"] = [str(Path(way.identity_file).expanduser())]
    elif way.password:
        given["client_keys"] = None
    try:
        options: Any = await asyncssh.SSHClientConnectionOptions.construct(host=way.host, **given)
    except (asyncssh.KeyImportError, asyncssh.ConfigParseError, OSError, ValueError) as error:
        if isinstance(error, asyncssh.KeyEncryptionError) or "assphrase" in str(error):
            raise MachineUnreachable(
                f"{way.subject}its private key is locked, and the passphrase that opens "
                "it was not given; name it in the catalog as passphrase: {set, variable}"
            ) from error
        named = getattr(error, "filename", None) or way.identity_file
        what = named or ("its identity" if way.identity else "the ssh_config")
        said = getattr(error, "strerror", None) or str(error)
        raise MachineUnreachable(
            f"{way.subject}{what} cannot be used ({said}); mend that on the worker's "
            "host or in the catalog"
        ) from error
    return _Door(
        given,
        options.host,
        options.port,
        options.username,
        str(options.tunnel or ""),
        # An ssh_config that turns the check off does not turn it off here.
        NOBODY if options.known_hosts is None else options.known_hosts,
    )


def _host(way: Way, hop: str) -> Way:
    """The way to a host in between: known by known_hosts, with the same key."""
    found = _HOP.fullmatch(hop)
    if found is None:
        raise _unreachable(way, f"{hop!r} is no host in between; write user@host:port")
    user, host, port = found["user"] or "", found["six"] or found["host"], found["port"]
    # Nothing of it is the machine's own: machines behind one host share the way to it.
    return Way(
        machine="",
        host=host,
        port=int(port) if port else None,
        user=user,
        identity_file=way.identity_file,
        identity=way.identity,
        passphrase=way.passphrase,
        known_hosts=way.known_hosts,
        config=way.config,
        keepalive=way.keepalive,
    )


async def _enter(
    way: Way, door: _Door, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    """Logs in, and refuses any host key but that of the catalog, a learned or a known one."""
    known = door.known_hosts
    if way.fingerprints:
        known = NOBODY
    elif way.learned:
        known = (host_keys.keys(way.learned), [], [])
    watch = Watch(way.fingerprints)
    # A server has keys of several kinds and shows one: the pinned one must be asked for.
    for family in ((), *FAMILIES) if way.fingerprints else ((),):
        try:
            return await _connect(way, door, watch, tunnel, known, family)
        except asyncssh.HostKeyNotVerifiable:
            continue
        except MachineUnreachable:
            if not watch.refused:
                raise
            # It has no key of that family, and says so or just hangs up.
    by_others = not way.fingerprints and not way.learned and _is_known(door)
    raise host_keys.refusal(way, watch.shown, known=by_others)


async def _connect(
    way: Way,
    door: _Door,
    watch: Watch,
    tunnel: asyncssh.SSHClientConnection | None,
    known: Any,
    family: tuple[str, ...] = (),
) -> asyncssh.SSHClientConnection:
    given = {**door.given, "known_hosts": known, "server_host_key_algs": family}
    try:
        connection: asyncssh.SSHClientConnection = await asyncssh.connect(
            way.host, client_factory=lambda: watch, tunnel=tunnel, **given
        )
    except asyncssh.HostKeyNotVerifiable:
        raise
    except asyncssh.KeyExchangeFailed as error:
        raise _unreachable(way, f"it agrees to no way of encryption ({error.reason})") from error
    except asyncssh.PermissionDenied as error:
        raise LoginRefused(
            f"{way.subject}{way.address} refuses the login of {door.user}; see that "
            "the key that the catalog names is in the authorized_keys there"
        ) from error
    except BROKEN as error:
        raise _unreachable(way, _reason(error), ConnectionBroke) from error
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise _unreachable(way, _reason(error)) from error
    return connection


def _unreachable(
    way: Way, reason: str, kind: type[MachineUnreachable] = MachineUnreachable
) -> MachineUnreachable:
    return kind(
        f"{way.subject}{way.address} cannot be reached: {reason}; "
        "see that it is up, that sshd runs there, and that nothing in between keeps us out"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "no host has that name"
    if isinstance(error, OSError) and error.errno:
        return error.strerror or str(error)
    return str(getattr(error, "reason", "")) or str(error) or type(error).__name__


def _is_known(door: _Door) -> bool:
    """Whether the host is known under another key than the one it showed."""
    files: Any = door.known_hosts
    if not files:
        default = Path("~/.ssh/known_hosts").expanduser()
        files = str(default) if default.is_file() else NOBODY
    try:
        found = asyncssh.match_known_hosts(files, door.host, "", door.port)
    except (OSError, ValueError):
        return False
    return bool(found[0])
