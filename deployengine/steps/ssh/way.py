"""The way to a machine: where it is, who logs in and how, and which host key it must show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deployengine.domain.environment import Machine

#: How long a machine may be out of reach while a script runs on it.
PATIENCE = timedelta(minutes=5)
#: How often a machine is asked for a sign of life.
KEEPALIVE = timedelta(seconds=10)

#: Seconds after which a connection is used for nothing new, so that a way that has changed is taken
#: sooner or later.
LONGEST_USE = 600.0

#: The value of a sensitive variable of a variable set, by the names of both.
Secret = Callable[[str, str], str]

#: A machine's name, and the folders of its scripts and its tickets.
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """How a machine is reached; what is empty or ``None`` is left to the user's ``ssh_config``.

    A host that is only gone through has no ``machine``.
    ``fingerprints`` are those of the host keys that are pinned, ``learned`` the public keys that
    somebody trusted (one line each, as in ``known_hosts`` without the host). ``become`` is the user
    that scripts run as. ``workdir`` and ``tickets`` start at that user's home if they are relative.
    """

    machine: str
    host: str
    port: int | None = None
    user: str = ""
    fingerprints: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    identity_file: str = ""
    identity: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    known_hosts: str = ""
    config: str = ""
    jump: str = ""
    become: str = ""
    workdir: str = ""
    tickets: str = ""
    patience: timedelta = PATIENCE
    keepalive: timedelta = KEEPALIVE

    @property
    def address(self) -> str:
        """Host and port for people."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def subject(self) -> str:
        """What a text about this way begins with."""
        return f"machine {self.machine}: " if self.machine else ""


def folders_of(machine: Machine) -> Place:
    """What tells tickets of one machine from those that lie in other folders there."""
    connection = machine.connection
    return machine.name, str(connection.get("workdir")), str(connection.get("tickets"))


def way_to(
    machine: str, connection: Mapping[str, Any], learned: Sequence[str], secret: Secret
) -> Way:
    """The way that a stored connection describes; raises what ``secret`` raises."""
    workdir = str(connection["workdir"])
    patience = connection.get("patience_seconds", PATIENCE.total_seconds())
    keepalive = connection.get("keepalive_seconds", KEEPALIVE.total_seconds())
    texts = ("identity_file", "known_hosts", "config", "jump", "become", "user")
    secrets = {
        kind: secret(connection[kind]["set"], connection[kind]["variable"])
        for kind in ("identity", "passphrase", "password")
        if kind in connection
    }
    return Way(
        machine=machine,
        host=connection.get("host", machine),
        port=connection.get("port"),
        fingerprints=tuple(connection.get("host_key", ())),
        learned=tuple(learned),
        workdir=workdir,
        tickets=connection.get("tickets", f"{workdir.rstrip('/')}/.deployengine"),
        patience=timedelta(seconds=patience),
        keepalive=timedelta(seconds=keepalive),
        **{key: str(connection.get(key, "")) for key in texts},
        **secrets,
    )
