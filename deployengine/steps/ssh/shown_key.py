"""The host key that a machine shows to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from deployengine.steps.ssh.fleet import needing_ssh
from deployengine.steps.ssh.loop import the_loop
from deployengine.steps.ssh.way import Way


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A public key: its kind, its fingerprint, and itself as one line of ``known_hosts``."""

    algorithm: str
    fingerprint: str
    public_key: str


def show_host_key(way: Way) -> ShownKey:
    """Asks a machine for its host key; nobody logs in, and nobody has vouched for it.

    Raises ``MachineUnreachable``.
    """
    with needing_ssh(way.machine):
        from deployengine.steps.ssh.host_keys import fingerprint, public_text
        from deployengine.steps.ssh.login import show_key
    key = the_loop().run(show_key(way))
    text = public_text(key)
    return ShownKey(text.split()[0], fingerprint(key), text)
