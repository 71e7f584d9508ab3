"""Trust: the host keys of machines that somebody has looked at."""

from __future__ import annotations

from dataclasses import dataclass

from deployengine.domain.audit import Action
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError
from deployengine.engine.audit import machine_subject, record
from deployengine.engine.ports import Clock
from deployengine.engine.ways import Ways
from deployengine.persistence import Database
from deployengine.persistence.records import TrustedKey
from deployengine.steps.ssh import ShownKey, show_host_key


class NotToBeTrusted(RequestError):
    """A host key that cannot be trusted in this way."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The host key that a machine shows, and what is trusted of it so far."""

    machine: str
    address: str
    key: ShownKey
    trusted: tuple[str, ...]
    pinned: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether it is trusted already."""
        return self.key.fingerprint in (*self.trusted, *self.pinned)


class Trust:
    """Shows the host keys of machines, and puts on record which of them somebody trusts."""

    def __init__(self, database: Database, ways: Ways, clock: Clock) -> None:
        self._database = database
        self._ways = ways
        self._clock = clock

    def show(self, name: str) -> Shown:
        """Asks a machine for its host key; nobody logs in.

        Raises :class:`RequestError` for what is no SSH machine, ``MachineUnreachable``.
        """
        way = self._ways.to(self._machine(name))
        key = show_host_key(way)
        with self._database.read() as tx:
            trusted = tuple(each.fingerprint for each in tx.trusted_keys.of(name))
        return Shown(name, way.address, key, trusted, way.fingerprints)

    def learn(self, shown: Shown, who: str, *, replace: bool) -> None:
        """Trusts a key from now on. Raises :class:`NotToBeTrusted` where another one is trusted.

        ``replace``: in the place of all that were trusted before.
        """
        self.check(shown, replace=replace)
        now = self._clock.now()
        with self._database.write("machine") as tx:
            if replace:
                tx.trusted_keys.drop(shown.machine)
            key = shown.key
            tx.trusted_keys.add(
                TrustedKey(shown.machine, key.fingerprint, key.algorithm, key.public_key, now, who)
            )
            subject = machine_subject(shown.machine)
            before = {"fingerprints": list(shown.trusted)} if shown.trusted else None
            after = {"fingerprint": key.fingerprint, "address": shown.address}
            record(tx, now, who, Action.MACHINE_TRUST, subject, before=before, after=after)

    def check(self, shown: Shown, *, replace: bool) -> None:
        """Raises :class:`NotToBeTrusted` where another key is trusted than the one shown."""
        if shown.pinned:
            raise NotToBeTrusted(
                f"machine {shown.machine}: the catalog pins its host key, and shows "
                f"{' or '.join(shown.pinned)}; the machine shows {shown.key.fingerprint}: change "
                "host_key in the catalog if that is right"
            )
        if shown.trusted and not replace:
            raise NotToBeTrusted(
                f"machine {shown.machine}: {' and '.join(shown.trusted)} is trusted, and the "
                f"machine shows {shown.key.fingerprint}. If it was installed anew, say --replace; "
                "if not, somebody may stand in between"
            )

    def forget(self, name: str, who: str) -> int:
        """Trusts no key of a machine any more; how many were trusted."""
        with self._database.write("machine") as tx:
            before = [each.fingerprint for each in tx.trusted_keys.of(name)]
            dropped = tx.trusted_keys.drop(name)
            if dropped:
                record(
                    tx,
                    self._clock.now(),
                    who,
                    Action.MACHINE_DISTRUST,
                    machine_subject(name),
                    before={"fingerprints": before},
                )
        return dropped

    def _machine(self, name: str) -> Machine:
        with self._database.read() as tx:
            machine = Machine.from_document(tx.catalog.get("machine", name))
        if machine.is_local:
            raise NotToBeTrusted(f"machine {name} is a folder of this host; it has no host key")
        return machine
