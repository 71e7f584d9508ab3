"""The way to the tickets of a machine that is reached by SSH."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from deployengine.steps.checkup import Checkup, warnings_about_clock, warnings_about_room
from deployengine.steps.contract import GRACE, Work
from deployengine.steps.folder import tickets_in
from deployengine.steps.ssh.machine import ANSWER_WITHIN, SshMachine
from deployengine.steps.ssh.start import SshWorkTicket
from deployengine.steps.ssh.ticket import SshTicket

#: Bytes a second that a package must come to a machine with, so that its delivery is not given up.
_SLOWEST = 50_000

#: Seconds that a machine may take to list its tickets.
_GLANCE = 20.0

_WHY_MISSED = {
    "flock": "Without flock two starts in the same instant may both begin on the machine.",
    "setsid": "Without setsid a cancelled script's own children are not ended with it.",
    "tar": "Without tar no package can be unpacked.",
    "gzip": "Without gzip no package can be unpacked.",
    "sha256sum": "Without sha256sum (or shasum, sha256, openssl) no package can be verified.",
}


class SshRunner:
    """Runs scripts on one machine that is reached by SSH."""

    def __init__(self, machine: SshMachine) -> None:
        self._machine = machine

    def ticket(self, work: Work) -> SshWorkTicket:
        """The run of this work; touches nothing until it is started."""
        return SshWorkTicket(self._machine, work)

    def attach(self, ticket: str, grace: timedelta = GRACE) -> SshTicket:
        """The run of this name, begun by whomever."""
        return SshTicket(self._machine, ticket, grace)

    def revoke(self, fence: int) -> None:
        """When it returns, no start with this fence begins a script any more."""
        self._machine.ask("revoke", str(fence), what=f"fence {fence}")

    def tickets(self) -> list[str]:
        """The names of all tickets on the machine, those too that were cleaned half-way."""
        listed = self._machine.ask(
            "tickets", what="the list of tickets", within=_GLANCE, passing=True
        )
        return tickets_in(listed.decode().splitlines())

    def check(self) -> Checkup:
        """What a look at the machine finds; takes no lock there."""
        machine = self._machine
        machine.connect_once()
        sent = time.monotonic()
        clock = time.time()
        facts = machine.look_over()
        took = time.monotonic() - sent
        told = facts.get("clock", [""])[0]
        difference = int(told) - int(clock + took / 2) if told.isdigit() else None
        free = facts.get("free", [""])[0]
        missing = tuple(facts.get("missing", ()))
        room = (
            warnings_about_room(int(free) * 1024, f"machine {machine.name}: {machine.way.tickets}")
            if free.isdigit()
            else ()
        )
        return Checkup(
            platform=facts.get("platform", [""])[0],
            round_trip=took,
            clock_difference=difference,
            free_bytes=int(free) * 1024 if free.isdigit() else 0,
            missing=missing,
            warnings=(
                *room,
                *warnings_about_clock(difference),
                *(_WHY_MISSED[each] for each in missing if each in _WHY_MISSED),
            ),
        )

    def has(self, digest: str) -> bool:
        """Whether the package with this digest is on the machine; it counts as used now."""
        return self._machine.ask("has", digest, what=f"package {digest[:12]}").strip() == b"yes"

    def deliver(self, archive: Path, digest: str) -> None:
        """Brings a package to ``.packages/<digest>`` beside the tickets."""
        if self.has(digest):
            return
        within = ANSWER_WITHIN + archive.stat().st_size / _SLOWEST
        self._machine.ask(
            "deliver", digest, stdin=archive, within=within, what=f"package {digest[:12]}"
        )
