"""A batch's progress in a few numbers, cheap enough to look at often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from deployengine.domain.acquisition import needing
from deployengine.domain.deployment import RunState
from deployengine.domain.environment import Machine, machines_in
from deployengine.domain.project import Step, StepKind
from deployengine.engine.archive import Archive
from deployengine.engine.batches import BatchProgress
from deployengine.engine.queries import Queries
from deployengine.persistence import Database


@dataclass(frozen=True, slots=True)
class EnvironmentProgress:
    """How many runs of an environment are where; ``expected`` are all that will ever be.

    Those that ask a person are ``asking`` and nowhere else.
    """

    environment: str
    expected: int
    counts: Mapping[RunState, int]
    asking: int = 0

    def count(self, *states: RunState) -> int:
        """How many are in these states."""
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def ended(self) -> int:
        """How many have ended, well or not."""
        return sum(count for state, count in self.counts.items() if state.final)


@dataclass(frozen=True, slots=True)
class Progress:
    """A batch at a moment; ``seconds_left`` is an estimate, ``None`` before the first end."""

    environments: tuple[EnvironmentProgress, ...]
    seconds_left: float | None


class ProgressView:
    """Looks at one batch again and again; what never changes is read once."""

    def __init__(
        self, database: Database, archive: Archive, queries: Queries, begun: BatchProgress
    ) -> None:
        self._database = database
        self._queries = queries
        self._batch_id = begun.batch.id
        self._expected, self._machines = self._expectation(archive, begun)

    def look(self, task_cap: int) -> Progress:
        """The batch as it stands."""
        granted = self._queries.granted_runs()
        with self._database.read() as tx:
            counts = tx.views.run_counts(self._batch_id)
            claimable = tx.views.granted_counts(self._batch_id, granted)
            asking = tx.views.asking_counts(self._batch_id)
            durations = tx.views.durations()
        environments = tuple(
            self._environment(name, counts, claimable.get(name, 0), asking)
            for name in self._expected
        )
        return Progress(environments, self._seconds_left(environments, durations, task_cap))

    def _environment(
        self,
        name: str,
        counts: Mapping[tuple[str, RunState], int],
        granted: int,
        asking: Mapping[tuple[str, RunState], int],
    ) -> EnvironmentProgress:
        all_, asks = (
            Counter({state: count for (where, state), count in found.items() if where == name})
            for found in (counts, asking)
        )
        own = all_ - asks
        granted = min(granted, own[RunState.WAITING])
        own += Counter({RunState.GRANTED: granted})
        own[RunState.WAITING] -= granted
        expected = max(self._expected[name], all_.total())
        return EnvironmentProgress(name, expected, own, asks.total())

    def _seconds_left(
        self,
        environments: tuple[EnvironmentProgress, ...],
        durations: list[float],
        task_cap: int,
    ) -> float | None:
        """What is left at the mean duration, by the task cap and by the fullest environment."""
        if not durations:
            return None
        left = {e.environment: e.expected - e.ended for e in environments}
        by_cap = sum(left.values()) / max(task_cap, 1)
        by_machine = max((n / max(self._machines[name], 1) for name, n in left.items()), default=0)
        return max(by_cap, by_machine) * fmean(durations)

    def _expectation(
        self, archive: Archive, begun: BatchProgress
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Runs and machines of each environment that the releases will come to by themselves."""
        expected: dict[str, int] = {}
        with self._database.read() as tx:
            not_enabled = tx.machines.not_enabled()
            every = [Machine.from_document(d) for d in tx.catalog.documents("machine")]
            machines = [machine for machine in every if machine.name not in not_enabled]
            for name in tx.catalog.names("environment"):
                expected[name] = 0
            for progress in begun.releases:
                snapshot = archive.snapshot(tx, progress.release.snapshot_id)
                for name in (e for p in snapshot.lifecycle.phases for e in p.automatic):
                    there = machines_in(machines, name)
                    runs = sum(_runs(step, snapshot.process, there) for step in snapshot.process)
                    expected[name] = expected.get(name, 0) + runs
        size = {name: len(machines_in(machines, name)) for name in expected}
        return {name: runs for name, runs in expected.items() if runs}, size


def _runs(step: Step, process: Sequence[Step], machines: Sequence[Machine]) -> int:
    """How many runs a step comes to; a manual one asks once, on no machine."""
    if step.kind is StepKind.MANUAL:
        return 1
    # A package comes to the machines of the steps that need it.
    steps = needing(step, process) if step.kind is StepKind.ACQUIRE else [step]
    return sum(any(machine.bears_one_of(each.roles) for each in steps) for machine in machines)
