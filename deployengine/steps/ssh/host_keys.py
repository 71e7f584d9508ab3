"""Which host key a machine may show: the pinned one, the one that was learned, or a known host's.

Whoever stands between the engine and a machine would get every secret of its scripts. So there is
no first contact in good faith: a key that nobody vouched for is refused, and told how to vouch for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncssh

from deployengine.steps.errors import MachineUnreachable
from deployengine.steps.ssh.way import Way

#: Asked for one after the other until a server shows the key that is pinned.
FAMILIES: tuple[tuple[str, ...], ...] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)
#: Stands for a file of known hosts in which there is none; nothing at all would mean the default.
NOBODY = b"# none\n"


class HostKeyRefused(MachineUnreachable):
    """The machine showed a host key that is not the one expected, or that nobody vouched for."""


class Watch(asyncssh.SSHClient):
    """Lets pinned keys pass, and keeps in mind what was shown."""

    def __init__(self, fingerprints: Sequence[str]) -> None:
        self._fingerprints = fingerprints
        self.shown: asyncssh.SSHKey | None = None
        self.refused = False

    def validate_host_public_key(
        self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Called for a key that is not among the known ones."""
        self.shown = key
        self.refused = fingerprint(key) not in self._fingerprints
        return not self.refused


def fingerprint(key: asyncssh.SSHKey) -> str:
    """As ``ssh-keygen -l`` prints it."""
    return key.get_fingerprint("sha256").rstrip("=")


def public_text(key: asyncssh.SSHKey) -> str:
    """The key's type and base64 text, as they stand in ``known_hosts``."""
    kind, text, *_ = key.export_public_key("openssh").decode("ascii").split()
    return f"{kind} {text}"


def keys(lines: Iterable[str]) -> list[asyncssh.SSHKey]:
    """The public keys that these lines are."""
    return [asyncssh.import_public_key(line) for line in lines]


def refusal(way: Way, shown: asyncssh.SSHKey | None, *, known: bool) -> HostKeyRefused:
    """Why the key that was shown does not do; ``known``: the host is known under another one."""
    has = fingerprint(shown) if shown is not None else "a revoked or damaged key"
    learn = f"say: machine trust {way.machine}" if way.machine else "put it into known_hosts"
    if way.fingerprints:
        expected = " or ".join(way.fingerprints)
        what = f"shows the host key {has}, and the catalog pins {expected}"
        advice = "if it was installed anew, put the new one into the catalog as host_key"
    elif way.learned or known:
        vouched = "was learned" if way.learned else "known_hosts has"
        what = f"shows the host key {has}, which is not the one that {vouched}"
        advice = f"if it was installed anew, compare and {learn}"
        if way.machine:
            advice += " --replace"
    else:
        return HostKeyRefused(
            f"{way.subject}nobody has vouched for the host key of {way.address}: {has}; "
            f"compare it there, then {learn}"
        )
    return HostKeyRefused(
        f"{way.subject}{way.address} {what}; nothing was sent. Somebody may stand in "
        f"between; {advice}"
    )
