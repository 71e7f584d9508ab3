"""Health: machines are looked at, now and then and when somebody asks.

A look takes no lock, no slot and no place in line, and begins nothing: it may happen at any time.
Housekeeping looks at what is due; of many processes one does, as each takes a machine by
compare-and-set before it looks. A machine that could not be used is looked at every minute: what
waits for it holds nothing meanwhile, and goes on when it is found to be back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.environment import Machine
from deployengine.domain.errors import DeployEngineError, Unreachable, check_known
from deployengine.engine.crew import Crew
from deployengine.engine.ports import Clock
from deployengine.engine.sightings import Sightings
from deployengine.persistence import Database
from deployengine.persistence.records import MachineRecord
from deployengine.steps.checkup import Checkup
from deployengine.steps.contract import Runner

log = logging.getLogger("deployengine.health")

#: How soon somebody looks again at a machine that could not be used: seconds.
LOOK_AGAIN = 60.0
#: So many machines are looked at at once.
AT_ONCE = 32
#: How long a look may take before the machine counts as unavailable: seconds.
PATIENCE = 60.0
#: How long one round waits for what it has begun: seconds. What takes longer is for the next one.
ROUND = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """How a machine was found: what the look saw, or why it is unavailable."""

    machine: str
    state: Health
    message: str | None = None
    checkup: Checkup | None = None


class HealthChecks:
    """Looks at machines and keeps how they were found."""

    def __init__(
        self,
        database: Database,
        runner_of: Callable[[Machine], Runner],
        clock: Clock,
        interval: float,
        patience: float = PATIENCE,
    ) -> None:
        """``interval``: seconds between two looks at a healthy machine, 0: it is not looked at."""
        self._database = database
        self._runner_of = runner_of
        self._clock = clock
        self._interval = interval
        self._again = min(interval or LOOK_AGAIN, LOOK_AGAIN)
        self._patience = patience
        self._machines: Mapping[str, Machine] = {}
        self._crew = Crew(self._examine, AT_ONCE, patience)
        # Instants in rows are of other clocks: what has stood there for so long is due as well.
        self._bad: Sightings[tuple[str, datetime | None]] = Sightings(clock, self._again)
        self._good: Sightings[tuple[str, datetime | None]] = Sightings(clock, interval)
        #: Called when a machine that had not been healthy was found to be.
        self.on_return: Callable[[], None] = lambda: None

    def check(self, names: Sequence[str] | None = None) -> Iterator[Found]:
        """Looks at machines now, many at once, and tells each as it was found.

        Left out, at all that are not disabled. Raises ``UnknownName`` before it looks.
        """
        known = self._read()
        for name in names or ():
            check_known("machine", name, self._machines)
        wanted = names or [r.machine for r in known if r.mode is not MachineMode.DISABLED]
        return self._check(list(dict.fromkeys(wanted)))

    def _check(self, waiting: list[str]) -> Iterator[Found]:
        crew = Crew(self._examine, AT_ONCE, self._patience)
        while waiting or crew.busy:
            while waiting and crew.begin(waiting[0]):
                del waiting[0]
            for name, report in crew.reports(self._patience):
                yield self._keep(name, report)

    def look(self) -> None:
        """Looks at what is due, unless somebody else does; raises ``Unreachable``."""
        for record in self._due(self._read()):
            if self._crew.takes(record.machine) and self._take(record):
                self._crew.begin(record.machine)
        end = time.monotonic() + ROUND
        while True:
            for name, report in self._crew.reports(max(end - time.monotonic(), 0.0)):
                self._keep(name, report)
            if not self._crew.busy or time.monotonic() >= end:
                return

    def _read(self) -> list[MachineRecord]:
        """What is known of the machines of today's catalog."""
        with self._database.read() as tx:
            documents = tx.catalog.documents("machine")
            known = tx.machines.all()
        self._machines = {d["name"]: Machine.from_document(d) for d in documents}
        return [known.get(name, MachineRecord(name)) for name in self._machines]

    def _due(self, known: Sequence[MachineRecord]) -> list[MachineRecord]:
        now = self._clock.now()
        in_use = [record for record in known if record.mode is not MachineMode.DISABLED]
        bad = [r for r in in_use if r.state is Health.UNAVAILABLE]
        good = [r for r in in_use if r not in bad] if self._interval else []
        stood = {
            name
            for sightings, records in ((self._bad, bad), (self._good, good))
            for name, _ in sightings.ripe((r.machine, r.due_at) for r in records)
        }
        return [r for r in in_use if r.machine in stood or self._is_due(r, now)]

    def _is_due(self, record: MachineRecord, now: datetime) -> bool:
        return self._interval > 0 if record.due_at is None else record.due_at <= now

    def _take(self, record: MachineRecord) -> bool:
        # Should this process end before it has kept what it finds, another one looks.
        until = self._clock.now() + timedelta(seconds=self._patience + self._again)
        with self._database.write("health") as tx:
            return tx.machines.take(record.machine, record.due_at, until)

    def _examine(self, name: str) -> Found:
        try:
            checkup = self._runner_of(self._machines[name]).check()
        except Unreachable:  # the database: that says nothing of the machine
            raise
        except DeployEngineError as error:
            return Found(name, Health.UNAVAILABLE, str(error))
        return Found(name, Health.HEALTHY, None, checkup)

    def _keep(self, name: str, report: Found | Exception | None) -> Found:
        """Keeps how a machine was found, unless nobody knows: that is no fault of the machine."""
        if isinstance(report, Unreachable):
            return Found(name, Health.UNKNOWN, str(report))
        if isinstance(report, Exception):
            log.error("%s cannot be looked at", name, exc_info=report)
            return Found(name, Health.UNKNOWN, f"a fault of deployengine ({type(report).__name__})")
        said = f"{name} gave no answer within {self._patience:g} s"
        found = report or Found(name, Health.UNAVAILABLE, said)
        healthy = found.state is Health.HEALTHY
        seconds = self._interval if healthy else self._again
        with self._database.write("health") as tx:
            now = self._clock.now()
            before = tx.machines.get(name)
            if not tx.catalog.find("machine", [name]):
                return found  # it has left the catalog meanwhile
            tx.machines.found(
                name,
                found.state,
                now,
                now + timedelta(seconds=seconds) if seconds else None,
                found.message,
                None if found.checkup is None else asdict(found.checkup),
            )
        if before.state is not found.state:
            log.info("%s is %s%s", name, found.state, f": {found.message}" if not healthy else "")
            if healthy:
                self.on_return()
        return found
