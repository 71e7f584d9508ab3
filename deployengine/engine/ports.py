"""What the engine needs from outside: a clock, and somebody who carries messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Clock(Protocol):
    """Instants for people and rows, seconds for measuring."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Witness(Protocol):
    """A place beside the database where workers leave their signs of life.

    Every method raises ``Unreachable`` when it cannot be asked.
    """

    def beat(self, name: str, number: int) -> None:
        """Keeps the number of a worker's latest sign of life."""
        ...

    def beats(self) -> Mapping[str, int]:
        """The latest number of each worker that is known here."""
        ...

    def forget(self, names: Sequence[str]) -> None:
        """Strikes workers off."""
        ...


class LinkKind(StrEnum):
    """The links of a phase's chain."""

    BEGIN = "begin"
    STEP = "step"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a deployment's chain; ``position`` is that of its step, 0 for the others.

    ``label`` is for people who watch: "app-017 1.4.0 → Staging · Install".
    """

    kind: LinkKind
    deployment_id: int
    position: int
    label: str


@dataclass(frozen=True, slots=True)
class GrantedRun:
    """A step run that may start now; ``label`` as in :class:`Link`, with the machine.

    An ``urgent`` one is the next to be taken.
    """

    run_id: int
    granted_at: datetime
    label: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that nobody has taken yet."""

    links: int
    runs: int


class Dispatcher(Protocol):
    """Carries messages. A message is a hint with ids in it: it may come late, twice or never."""

    def chain(self, links: Sequence[Link]) -> None:
        """Has the links done in order, each when the one before has ended."""
        ...

    def runs(self, granted: Sequence[GrantedRun]) -> None:
        """Hands each run to whichever worker has a free slot."""
        ...

    def parked(self, labels: Sequence[tuple[int, str]]) -> None:
        """Tells those who watch the queues that these runs wait, by id and label."""
        ...

    def cancel(self, run_ids: Sequence[int]) -> None:
        """Tells the workers that run these to end them."""
        ...

    def left(self) -> None:
        """Tells the workers that one has left, so that they look for what it was running."""
        ...

    def backlog(self) -> Backlog:
        """How much is on its way."""
        ...
