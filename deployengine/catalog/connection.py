"""How machines are reached: what a catalog says of it, and what is wrong with that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from deployengine.catalog.names import Name, VariableName
from deployengine.catalog.node import Node, Span, Text
from deployengine.catalog.said import ONE_OR_MORE
from deployengine.catalog.scalars import as_written
from deployengine.catalog.wording import unknown
from deployengine.domain.errors import Fault

if TYPE_CHECKING:
    from deployengine.catalog.entries import Entry

#: The folder of the scripts where the catalog names none; a relative one starts at the engine's
#: home on this host, and at the home of the user on a machine that is reached by SSH.
LOCAL_WORKDIR = "machines/#{machine}"
SSH_WORKDIR = "deployengine/#{machine}"

_PLACEHOLDER = re.compile(r"#\{([^}]*)\}?")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
#: What every login shell takes as it stands between single quotes.
_SAFE = re.compile(r"[\w./@:+,=%-]+", re.ASCII)


def _fingerprint(text: str) -> str:
    text = text.strip()
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError(
            "must be a fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters"
        )
    return text.rstrip("=")


Fingerprint = Annotated[str, BeforeValidator(as_written), AfterValidator(_fingerprint)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


class SecretReference(Node):
    """Where a secret lies: a sensitive variable of a variable set. It is read when it is needed."""

    set: Name = Field(description="The variable set.", examples=["Infrastructure"])
    variable: VariableName = Field(
        description="Its sensitive variable, with a value that applies everywhere.",
        examples=["Deploy key passphrase"],
    )


class Connection(Node):
    """How a machine is reached."""

    kind: Literal["local", "ssh"] = Field(
        default="local",
        description="local: the scripts run on this host. ssh: on another one; nothing needs to "
        "be installed there but sshd and /bin/sh.",
    )
    workdir: Text = Field(
        default="",
        min_length=1,
        description="The folder of the scripts. A relative one starts at the engine's home, or by "
        f"ssh at the home of the user there. Left out: {LOCAL_WORKDIR}, or {SSH_WORKDIR}. "
        "#{machine} is the machine's name.",
        examples=["machines/#{machine}", "/srv/deploy/#{machine}"],
    )
    host: Text = Field(
        default="",
        min_length=1,
        description="ssh: its name or address, or a host of the ssh_config. Left out: the "
        "machine's name.",
        examples=["10.0.3.17", "#{machine}.example.com"],
    )
    port: Port | None = Field(
        default=None, description="ssh: left out: what the ssh_config says, or 22."
    )
    user: Text = Field(
        default="",
        min_length=1,
        description="ssh: who logs in. Left out: as the ssh_config says, or the engine's user.",
    )
    host_key: Annotated[list[Fingerprint], ONE_OR_MORE] = Field(
        default_factory=list,
        min_length=1,
        description="ssh: the fingerprint of its host key, or several of them; any other key is "
        "refused. Left out: what `machine trust` has learned, or the known_hosts file.",
        examples=["SHA256:BbQ27dtuqZVQkHkKrRYwTU+d6nMXZ5jTM2FzgtXuQ1w"],
    )
    identity_file: Text = Field(
        default="",
        min_length=1,
        description="ssh: the private key. Left out: as the ssh_config says, the agent's keys, "
        "and those in ~/.ssh.",
        examples=["~/.ssh/deploy"],
    )
    identity: SecretReference | None = Field(
        default=None, description="ssh: the private key itself, as a secret."
    )
    passphrase: SecretReference | None = Field(
        default=None, description="ssh: what the private key is locked with."
    )
    password: SecretReference | None = Field(
        default=None, description="ssh: the user's password, where there is no key."
    )
    known_hosts: Text = Field(
        default="",
        min_length=1,
        description="ssh: the file of known host keys. Left out: as the ssh_config says, or "
        "~/.ssh/known_hosts.",
    )
    config: Text = Field(
        default="",
        min_length=1,
        description="ssh: the ssh_config file. Left out: ~/.ssh/config, if it is there.",
    )
    jump: Text = Field(
        default="",
        min_length=1,
        description="ssh: hosts on the way, as ProxyJump has them, with commas.",
        examples=["ops@bastion.example.com:2222"],
    )
    become: Text = Field(
        default="",
        min_length=1,
        description="ssh: the user that scripts run as; by sudo, which must not ask for a "
        "password.",
        examples=["root"],
    )
    tickets: Text = Field(
        default="",
        min_length=1,
        description="ssh: the folder in which the engine keeps what it needs there. Left out: "
        ".deployengine in the workdir.",
    )
    patience: Span | None = Field(
        default=None,
        serialization_alias="patience_seconds",
        description="ssh: how long a machine may be out of reach while a script runs on it, "
        "before nobody knows how it ended. Left out: 5m.",
        examples=["5m"],
    )
    keepalive: Span | None = Field(
        default=None,
        serialization_alias="keepalive_seconds",
        description="ssh: how often the machine is asked for a sign of life; a connection is dead "
        "after three that it did not give. Left out: 10s.",
        examples=["10s"],
    )


_OF_SSH = tuple(key for key in Connection.model_fields if key not in ("kind", "workdir"))


def unsound_connection(entry: Entry[Any], connection: Connection) -> Iterator[Fault]:
    """What contradicts itself in the connection of a machine, or has no meaning there."""
    here = "connection"
    for key in ("workdir", "host", "tickets", "identity_file"):
        yield from _text(entry, getattr(connection, key), here, key)
    if connection.kind == "local":
        for key in _OF_SSH:
            if entry.says(here, key) and not entry.refused(connection, here, "kind"):
                yield entry.fault(f"a local machine has no {key!r}; say kind: ssh", here, key)
        return
    for key in ("workdir", "tickets", "become"):
        text = _PLACEHOLDER.sub("", getattr(connection, key))
        if text and not _SAFE.fullmatch(text):
            message = "only letters, digits and . / @ : + , = % _ - may stand in it"
            yield entry.fault(message, here, key)
    if connection.identity and connection.identity_file:
        yield entry.fault("the private key is also given by identity_file", here, "identity")


def _text(entry: Entry[Any], text: str, here: str, key: str) -> Iterator[Fault]:
    for name in _PLACEHOLDER.findall(text):
        if name.strip().casefold() != "machine":
            yield entry.fault(unknown("placeholder", name, ["machine"]), here, key)
    if text.startswith("~") and key in ("workdir", "tickets"):
        yield entry.fault("~ has no meaning here: write the whole path", here, key)
    if not text.isprintable():
        yield entry.fault("it has a character that can't be seen", here, key)
