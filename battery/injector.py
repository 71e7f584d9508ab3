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
        self._first: dict[int, float] = {}
        self._tries: dict[int, float] = {}
        self._lasting: list[tuple[float, Planned, Injected]] = []

    def add(self, planned: Planned) -> None:
        """One more; once everything else that is due was tried."""
        self._waiting.insert(0, planned)

    def waits(self, planned: Planned) -> bool:
        """Whether it was not injected yet."""
        return any(each is planned for each in self._waiting)

    @property
    def done(self) -> bool:
        """Whether everything was injected and lifted."""
        return not self._waiting and not self._lasting

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
        self._lift(float("inf"))
        self._waiting.clear()

    def _busy(self, fault: Fault) -> bool:
        return any(other.fault.touches & fault.touches for _, other, _ in self._lasting)

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
            if self._again(planned):
                return
        else:
            self._first.setdefault(id(planned), time.monotonic())
            self._lasting.append((time.monotonic() + fault.seconds, planned, noted))
        self._waiting.remove(planned)

    def _again(self, planned: Planned) -> bool:
        """Whether it may be tried again, a little later."""
        now = time.monotonic()
        if now - self._first.setdefault(id(planned), now) > PATIENCE:
            return False
        self._tries[id(planned)] = now + AGAIN
        return True

    def _lift(self, now: float) -> None:
        for lasting in list(self._lasting):
            until, planned, noted = lasting
            if now < until:
                continue
            self._lasting.remove(lasting)
            if planned.fault.lift(self._stage):
                noted.lifted = time.time()
                continue
            # Nothing came of it, so it is no fault.
            self._stage.house.ledger.faults.remove(noted)
            if self._again(planned):
                self._waiting.insert(0, planned)
