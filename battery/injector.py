"""Carries out a schedule: each fault at its time, as soon as nothing else is done to its target."""

from __future__ import annotations

import time
from collections.abc import Sequence

from redis.exceptions import RedisError

from battery.faults.fault import Fault, NotNow, NotPossible, Stage
from battery.ledger import Injected
from battery.schedule import Planned

#: Seconds between two tries of a fault that has nothing to be done to; and until it is given up.
AGAIN, PATIENCE = 0.5, 15.0


class Injector:
    """Injects and lifts; :meth:`tend` is called over and over."""

    def __init__(self, stage: Stage, schedule: Sequence[Planned]) -> None:
        self._stage = stage
        self._begun = time.monotonic()
        self._waiting = list(schedule)
        self._tries: dict[int, float] = {}
        self._lasting: list[tuple[float, Fault, Injected]] = []

    def add(self, planned: Planned) -> None:
        """One more; once everything else that is due was tried."""
        self._waiting.insert(0, planned)

    @property
    def done(self) -> bool:
        """Whether everything was injected and lifted."""
        return not self._waiting and not self._lasting

    @property
    def left(self) -> int:
        """How many are still to come."""
        return len(self._waiting)

    def tend(self) -> None:
        """Lifts what is due, then injects what is due."""
        self._lift(time.monotonic())
        for planned in list(self._waiting):
            now = time.monotonic()
            if now - self._begun < planned.at:
                break
            if now < self._tries.get(id(planned), 0.0) or self._busy(planned.fault):
                continue
            self._inject(planned)

    def end(self) -> None:
        """Lifts everything that lasts and forgets the rest."""
        self._waiting.clear()
        self._lift(float("inf"))

    def _busy(self, fault: Fault) -> bool:
        return any(other.touches & fault.touches for _, other, _ in self._lasting)

    def _inject(self, planned: Planned) -> None:
        fault, ledger = planned.fault, self._stage.house.ledger
        noted = ledger.note(fault.kind)
        try:
            noted.target = fault.inject(self._stage)
        except NotPossible as why:
            ledger.faults.remove(noted)
            ledger.impossible[fault.kind] = str(why)
        except (NotNow, RedisError):
            ledger.faults.remove(noted)
            first = self._tries.setdefault(id(planned.fault), time.monotonic())
            if time.monotonic() - first < PATIENCE:
                self._tries[id(planned)] = time.monotonic() + AGAIN
                return
        else:
            self._lasting.append((time.monotonic() + fault.seconds, fault, noted))
        self._waiting.remove(planned)

    def _lift(self, now: float) -> None:
        for lasting in list(self._lasting):
            until, fault, noted = lasting
            if now >= until:
                fault.lift(self._stage)
                noted.lifted = time.time()
                self._lasting.remove(lasting)
