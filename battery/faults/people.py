"""What people do meanwhile; lawful, and at the worst of times."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Self

from battery.faults.fault import NotNow, Stage


@dataclass
class Errand:
    """A command of somebody; the command itself may be killed at a failpoint."""

    kind: ClassVar[str] = "errand"
    lawful: ClassVar[bool] = True
    seconds: float = 0.0
    touches: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls()

    def inject(self, stage: Stage) -> str:
        given = self.give(stage)
        if given is None:
            raise NotNow
        return given

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        return True

    def give(self, stage: Stage) -> str | None:
        """Gives the command."""
        raise NotImplementedError


class DeploymentCancelled(Errand):
    """Somebody cancels a deployment."""

    kind: ClassVar[str] = "deployment cancelled"

    def give(self, stage: Stage) -> str | None:
        return stage.work.cancel_one()


class BatchCancelled(Errand):
    """Somebody cancels a batch."""

    kind: ClassVar[str] = "batch cancelled"

    def give(self, stage: Stage) -> str | None:
        return stage.work.cancel_batch()


class DeployedAgain(Errand):
    """Somebody deploys a release once more."""

    kind: ClassVar[str] = "deployed again by hand"

    def give(self, stage: Stage) -> str | None:
        return stage.work.deploy_again()


class AppliedAgain(Errand):
    """Somebody applies the catalog again."""

    kind: ClassVar[str] = "catalog applied again"

    def give(self, stage: Stage) -> str | None:
        return stage.work.apply_again()


class KeysChanged(Errand):
    """Somebody changes the master key while everybody works with it."""

    kind: ClassVar[str] = "master key changed"

    def give(self, stage: Stage) -> str | None:
        return stage.work.change_keys()


class DeployedLater(Errand):
    """Somebody deploys a release once more at a time that he names."""

    kind: ClassVar[str] = "deployed by hand at a time"

    def give(self, stage: Stage) -> str | None:
        return stage.work.deploy_later()


class MovedToTop(Errand):
    """Somebody puts a deployment before all others."""

    kind: ClassVar[str] = "deployment moved to the top"

    def give(self, stage: Stage) -> str | None:
        return stage.work.move_to_top()


class Prioritised(Errand):
    """Somebody gives a deployment a higher priority."""

    kind: ClassVar[str] = "deployment given another priority"

    def give(self, stage: Stage) -> str | None:
        return stage.work.prioritise()


class ReleaseBlocked(Errand):
    """Somebody keeps a release from going further."""

    kind: ClassVar[str] = "release blocked"

    def give(self, stage: Stage) -> str | None:
        return stage.work.block()


class ScheduleChanged(Errand):
    """Somebody applies a catalog with another schedule."""

    kind: ClassVar[str] = "schedule changed"

    def give(self, stage: Stage) -> str | None:
        return stage.work.apply_another()


class MachineDrained(Errand):
    """Somebody drains a machine, and enables it again after a while."""

    kind: ClassVar[str] = "machine drained"
    touches: ClassVar[frozenset[str]] = frozenset({"draining"})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(round(dice.uniform(0.5, 3.0), 2))

    def give(self, stage: Stage) -> str | None:
        return stage.work.drain()

    def lift(self, stage: Stage) -> bool:
        stage.work.enable()
        return True


ERRANDS: tuple[tuple[type[Errand], int], ...] = (
    (DeploymentCancelled, 2),
    (BatchCancelled, 1),
    (DeployedAgain, 1),
    (DeployedLater, 1),
    (AppliedAgain, 1),
    (ScheduleChanged, 1),
    (MovedToTop, 1),
    (Prioritised, 1),
    (ReleaseBlocked, 1),
    (KeysChanged, 1),
    (MachineDrained, 1),
)
