"""What a fault is."""

from __future__ import annotations

import random
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from battery.house import House
from battery.work import Work


class NotPossible(Exception):
    """It cannot be done here; the report says so."""


class NotNow(Exception):
    """There is nothing to do it to at the moment; it is tried again a little later."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What faults act upon."""

    house: House
    work: Work


class Fault(Protocol):
    """Something bad. So many seconds lie between :meth:`inject` and :meth:`lift`."""

    kind: ClassVar[str]
    #: Whether it is an act of people or of a supervisor; reported apart and not counted as a fault.
    lawful: ClassVar[bool] = False

    @property
    def touches(self) -> frozenset[str]:
        """No other fault that touches one of these is injected until this one is lifted."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @classmethod
    @abstractmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        """One with parameters of these dice."""

    def inject(self, stage: Stage) -> str:
        """Does it; says to what. Raises :class:`NotNow` or :class:`NotPossible`."""

    def lift(self, stage: Stage) -> bool:
        """Ends it, if there is anything left to end; says whether anything came of it."""
