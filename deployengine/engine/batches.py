"""Batches: many releases created and deployed in one go, watched and cancelled as one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState, ReleaseState, release_state
from deployengine.domain.errors import AlreadyExists, Fault, InvalidInput, RequestError, UnknownName
from deployengine.domain.identity import deployment_id
from deployengine.domain.package import Package
from deployengine.domain.planning import Unseal
from deployengine.engine.audit import ENGINE, batch_subject, record
from deployengine.engine.deployments import Deployments
from deployengine.engine.handoff import HandOff
from deployengine.engine.package_choice import PackageChoice
from deployengine.engine.package_store import Tell, quietly
from deployengine.engine.ports import Clock
from deployengine.engine.releases import Created, Creation, Wanted
from deployengine.engine.requests import for_deployments
from deployengine.persistence import Conflict, Database, Transaction
from deployengine.persistence.records import (
    BatchRecord,
    DeploymentRecord,
    ReleaseRecord,
    RunRecord,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a batch file and where it stands."""

    wanted: Wanted
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseProgress:
    """A release of a batch, its state, and its deployments, the oldest first."""

    release: ReleaseRecord
    state: ReleaseState
    deployments: tuple[DeploymentRecord, ...]


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch as it stands; the runs only when they were asked for.

    ``removed``: so many of its releases are gone by retention.
    """

    batch: BatchRecord
    releases: tuple[ReleaseProgress, ...]
    runs: tuple[RunRecord, ...] = ()
    removed: int = 0

    @property
    def state(self) -> ReleaseState:
        """Running until every release has come to rest, then the worst that happened.

        ``created`` when no release was deployed, as their lifecycles wait for somebody to say so,
        ``removed`` when none is left.
        """
        states = {r.state for r in self.releases}
        if not states:
            return ReleaseState.REMOVED
        if states == {ReleaseState.CREATED}:
            return ReleaseState.CREATED
        for state in (
            ReleaseState.RUNNING,
            ReleaseState.QUEUED,
            ReleaseState.FAILED,
            ReleaseState.CANCELLED,
        ):
            if state in states:
                return ReleaseState.RUNNING if state is ReleaseState.QUEUED else state
        return ReleaseState.SUCCEEDED

    @property
    def ended(self) -> bool:
        """Whether nothing moves any more."""
        return self.state is not ReleaseState.RUNNING


@dataclass(frozen=True, slots=True)
class _Stored:
    """A batch, the deployments that it began with, and ids of those that had to make room."""

    batch: BatchRecord
    begun: Sequence[DeploymentRecord] = ()
    superseded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """A row with the packages that its release is made of, or why there are none."""

    row: Row
    packages: Sequence[Package] = ()
    fault: Fault | None = None


class Batches:
    """What people ask of batches."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        deployments: Deployments,
        clock: Clock,
        unseal: Unseal,
        packages: PackageChoice,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._deployments = deployments
        self._clock = clock
        self._unseal = unseal
        self._packages = packages

    def run(
        self,
        rows: Sequence[Row],
        name: str | None,
        who: str = ENGINE,
        faults: Sequence[Fault] = (),
        tell: Tell = quietly,
    ) -> BatchRecord:
        """Creates the releases of the rows and deploys them; the same batch twice does nothing new.

        Without a name it is called after the digest of its rows. ``faults`` are those of rows that
        could not be read: with any, nothing is done. Packages are brought here for the releases;
        ``tell`` hears of it. Raises ``InvalidInput`` with these and every
        other faulty row at once, and :class:`AlreadyExists` when the name has other rows.
        """
        digest = _digest([row.wanted for row in rows])
        name = name or f"batch-{digest[:12]}"
        chosen = self._choose(name, rows, tell)
        try:
            stored = self._store(chosen, name, digest, who, faults)
        except Conflict:
            stored = self._store(chosen, name, digest, who, faults)  # somebody else has just run it
        begun = [d for d in stored.begun if deployment_id(d.id) not in stored.superseded]
        self._handoff.exchange(leaving=stored.superseded, entering=for_deployments(begun))
        return stored.batch

    def _choose(self, name: str, rows: Sequence[Row], tell: Tell) -> list[_Choice]:
        """The packages of each row; nothing is looked up for a batch that is there already."""
        with self._database.read() as tx:
            there = tx.batches.find(name) is not None
        return [_Choice(row) if there else self._choice(row, tell) for row in rows]

    def _choice(self, row: Row, tell: Tell) -> _Choice:
        try:
            return _Choice(row, self._packages.of(row.wanted, tell))
        except RequestError as error:
            return _Choice(row, fault=Fault(str(error), row.file, row.line))

    def _store(
        self, chosen: Sequence[_Choice], name: str, digest: str, who: str, faults: Sequence[Fault]
    ) -> _Stored:
        with self._database.write("batch") as tx:
            existing = tx.batches.find(name)
            if existing is not None and not faults:
                if existing.digest != digest:
                    raise AlreadyExists(
                        f"batch {name} exists with other rows", None, "choose another --name"
                    )
                return _Stored(existing)
            wanted = [each.row.wanted for each in chosen]
            creation = Creation(tx, wanted, self._clock, self._unseal)
            created = self._create(creation, chosen, faults)
            now = self._clock.now()
            tx.batches.add(name, digest, [c.release.id for c in created], now)
            stored = tx.batches.find(name)
            after = {
                "digest": digest,
                "created": [_named(c.release) for c in created if c.new],
                "there_before": [_named(c.release) for c in created if not c.new],
            }
            record(tx, now, who, Action.BATCH_RUN, batch_subject(name), after=after)
        assert stored is not None
        begun = [deployment for c in created for deployment in c.deployments]
        return _Stored(stored, begun, creation.intake.superseding.ended)

    def _create(
        self, creation: Creation, chosen: Sequence[_Choice], unread: Sequence[Fault]
    ) -> list[Created]:
        """Creates what the rows name; raises ``InvalidInput`` with what is wrong in any of them."""
        created, faults = [], [*unread, *_repeats([each.row for each in chosen])]
        if not chosen and not unread:
            faults.append(Fault("a batch needs at least one row"))
        for each in chosen:
            if each.fault is not None:
                faults.append(each.fault)
                continue
            try:
                created.append(creation.create(each.row.wanted, each.packages))
            except RequestError as error:
                faults.append(Fault(str(error), each.row.file, each.row.line))
        if faults:
            raise InvalidInput(sorted(faults, key=lambda fault: fault.line or 0))
        return created

    def progress(self, name: str, *, with_runs: bool = False) -> BatchProgress:
        """The batch as it stands; raises :class:`UnknownName`."""
        with self._database.read() as tx:
            return _progress(tx, find_batch(tx, name), with_runs=with_runs)

    def latest(self, limit: int) -> list[BatchProgress]:
        """So many batches at most as they stand, the newest first."""
        with self._database.read() as tx:
            return [_progress(tx, batch) for batch in tx.batches.latest(limit)]

    def cancel(self, name: str, who: str = ENGINE) -> BatchProgress:
        """Promotes no release of the batch any more and cancels all its open deployments."""
        with self._database.write("cancel-batch") as tx:
            batch = find_batch(tx, name)
            now = self._clock.now()
            tx.batches.cancel(batch.id, now)
            numbers = [d.id for d in tx.deployments.of_batch(batch.id) if not d.state.final]
            if batch.cancelled_at is None:
                after = {"deployments": [deployment_id(number) for number in numbers]}
                record(tx, now, who, Action.BATCH_CANCEL, batch_subject(name), after=after)
        # The last in line first, so that none is let in only to be cancelled.
        for number in reversed(numbers):
            self._deployments.cancel(number, who, f"all of {batch_subject(name)}")
        return self.progress(name)


def _progress(tx: Transaction, batch: BatchRecord, *, with_runs: bool = False) -> BatchProgress:
    of: dict[int, list[DeploymentRecord]] = {}
    for deployment in tx.deployments.of_batch(batch.id):
        of.setdefault(deployment.release_id, []).append(deployment)
    releases = tuple(
        release_progress(release, of.get(release.id, []))
        for release in tx.batches.releases(batch.id)
    )
    runs = tuple(tx.runs.of_batch(batch.id)) if with_runs else ()
    return BatchProgress(batch, releases, runs, tx.batches.struck_off(batch.id))


def release_progress(
    release: ReleaseRecord, deployments: Sequence[DeploymentRecord]
) -> ReleaseProgress:
    """The release's state, read off its latest deployment in each environment."""
    latest: dict[str, DeploymentState] = {d.environment: d.state for d in deployments}
    return ReleaseProgress(release, release_state(set(latest.values())), tuple(deployments))


def find_batch(tx: Transaction, name: str) -> BatchRecord:
    """The batch; raises :class:`UnknownName`."""
    batch = tx.batches.find(name)
    if batch is None:
        raise UnknownName("batch", name, tx.batches.names())
    return batch


def _named(release: ReleaseRecord) -> str:
    return f"{release.project} {release.version}"


def _digest(wanted: Sequence[Wanted]) -> str:
    rows = [[w.project, w.version, w.channel, *map(list, w.packages)] for w in wanted]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _repeats(rows: Sequence[Row]) -> list[Fault]:
    faults = []
    seen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.wanted.project, row.wanted.version.strip())
        if key in seen:
            first = f" (line {seen[key].line})" if seen[key].line else ""
            message = f"{key[0]} {key[1]} stands in the batch twice{first}"
            faults.append(Fault(message, row.file, row.line))
        seen.setdefault(key, row)
    return faults
