"""Faults of the way to the machine that is reached by SSH: cut, silent, refused."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Self

from battery.faults.fault import Stage
from battery.scenario import BY_SSH
from battery.ssh_machine import SshMachine


@dataclass
class SshFault:
    """One of them; those that last are lifted after ``seconds``."""

    kind: ClassVar[str] = "SSH"
    lawful: ClassVar[bool] = False
    seconds: float
    touches: ClassVar[frozenset[str]] = frozenset({BY_SSH})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(round(dice.uniform(0.2, 2.0), 2) * lease)

    def inject(self, stage: Stage) -> str:
        self.harm(stage.house.ssh)
        return BY_SSH

    def lift(self, stage: Stage) -> bool:
        self.mend(stage.house.ssh)
        return True

    def harm(self, machine: SshMachine) -> None:
        """What is done."""

    def mend(self, machine: SshMachine) -> None:
        """What is done after ``seconds``."""


class SessionsCut(SshFault):
    """Every connection breaks; new ones are welcome."""

    kind: ClassVar[str] = "SSH connections cut"

    def harm(self, machine: SshMachine) -> None:
        machine.cut()


class SessionsStill(SshFault):
    """Nothing comes and nothing breaks, as when a network swallows packets."""

    kind: ClassVar[str] = "SSH stands still"

    def harm(self, machine: SshMachine) -> None:
        machine.freeze()

    def mend(self, machine: SshMachine) -> None:
        machine.thaw()


class SshRefused(SshFault):
    """Every connection breaks, and new ones are refused; what runs on the machine runs on."""

    kind: ClassVar[str] = "SSH refused"

    def harm(self, machine: SshMachine) -> None:
        machine.leave()

    def mend(self, machine: SshMachine) -> None:
        machine.come_back()


FAULTS: tuple[type[SshFault], ...] = (SessionsCut, SessionsStill, SshRefused)
