"""Creating releases: freeze, store once, and queue what the lifecycle deploys by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deployengine.domain.errors import AlreadyExists, RequestError, UnknownName
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.plan import Unseal
from deployengine.domain.release import Snapshot, check_version
from deployengine.engine.deployments import Planner, enqueue
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_deployments
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """A release somebody wants: ``channel`` ``None`` is the project's own lifecycle."""

    project: str
    version: str
    channel: str | None = None


@dataclass(slots=True)
class Created:
    """What creating did: the release, whether it is new, and the deployments it began."""

    release: ReleaseRecord
    new: bool
    deployments: list[DeploymentRecord] = field(default_factory=list)


class Releases:
    """What people ask of releases."""

    def __init__(self, database: Database, handoff: HandOff, clock: Clock, unseal: Unseal) -> None:
        self._database = database
        self._handoff = handoff
        self._clock = clock
        self._unseal = unseal

    def create(self, wanted: Wanted) -> Created:
        """Freezes a release; an automatic first phase starts at once.

        Creating the same release again changes nothing. Raises :class:`UnknownName`, and
        :class:`AlreadyExists` when the version is there with other content.
        """
        with self._database.write() as tx:
            created = create_all(tx, [wanted], self._clock, self._unseal)[0]
        self._handoff.exchange(entering=for_deployments(created.deployments))
        return created


def create_all(
    tx: Transaction, wanted: Sequence[Wanted], clock: Clock, unseal: Unseal
) -> list[Created]:
    """Stores releases and the deployments that they begin with, in this order.

    Raises the first thing that is wrong; the caller's transaction then keeps none of them.
    """
    catalog = _Frozen(tx, wanted)
    planner = Planner.from_catalog(tx, unseal)
    return [_create(tx, catalog.snapshot(one), planner, clock) for one in wanted]


def _create(tx: Transaction, snapshot: Snapshot, planner: Planner, clock: Clock) -> Created:
    existing = tx.releases.find(snapshot.project, snapshot.version)
    if existing is not None:
        if existing.digest != snapshot.digest:
            raise AlreadyExists(
                f"{snapshot.project} {snapshot.version} exists with other content",
                None,
                "releases never change: choose another version",
            )
        return Created(existing, new=False)
    number = tx.releases.add(
        snapshot.project,
        snapshot.version,
        snapshot.channel,
        snapshot.digest,
        dict(snapshot.document),
        clock.now(),
    )
    release = tx.releases.get(number)
    assert release is not None
    deployments = [
        enqueue(tx, planner.request(snapshot, number, environment, automatic=True), clock)
        for environment in snapshot.lifecycle.automatic_at_start()
    ]
    return Created(release, new=True, deployments=deployments)


class _Frozen:
    """Today's catalog, as far as these releases need it."""

    def __init__(self, tx: Transaction, wanted: Sequence[Wanted]) -> None:
        self._tx = tx
        self._projects = tx.catalog.find("project", sorted({w.project for w in wanted}))
        self._environments = tx.catalog.names("environment")
        self._lifecycles = {d["name"]: d for d in tx.catalog.documents("lifecycle")}
        self._sets = {d["name"]: d for d in tx.catalog.documents("variable_set")}

    def snapshot(self, wanted: Wanted) -> Snapshot:
        """Freezes one release; raises :class:`UnknownName` and ``BadVersion``."""
        project = self._projects.get(wanted.project)
        if project is None:
            raise UnknownName("project", wanted.project, self._tx.catalog.names("project"))
        lifecycle = project["lifecycle"]
        if wanted.channel is not None:
            channels = {c["name"]: c["lifecycle"] for c in project.get("channels", ())}
            if wanted.channel not in channels:
                raise UnknownName(f"channel of {wanted.project}", wanted.channel, channels)
            lifecycle = channels[wanted.channel]
        return Snapshot.freeze(
            project,
            wanted.version,
            wanted.channel,
            Lifecycle.from_document(self._lifecycles[lifecycle]).filled(self._environments),
            [self._sets[name] for name in project.get("include", ())],
        )


def check(tx: Transaction, wanted: Sequence[Wanted]) -> list[RequestError | None]:
    """What is wrong with each release on its own; ``None`` where nothing is."""
    catalog = _Frozen(tx, wanted)

    def fault(one: Wanted) -> RequestError | None:
        try:
            check_version(one.version)
            snapshot = catalog.snapshot(one)
        except RequestError as error:
            return error
        existing = tx.releases.find(snapshot.project, snapshot.version)
        if existing is not None and existing.digest != snapshot.digest:
            return AlreadyExists(f"{one.project} {one.version} exists with other content")
        return None

    return [fault(one) for one in wanted]
