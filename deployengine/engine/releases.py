"""Creating releases: freeze, store once, and queue what the lifecycle deploys by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployengine.domain import flags
from deployengine.domain.acquisition import packages_of
from deployengine.domain.audit import Action
from deployengine.domain.errors import AlreadyExists, RequestError, UnknownName, check_known
from deployengine.domain.identity import deployment_id, release_id
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.package import Package
from deployengine.domain.planning import Unseal
from deployengine.domain.release import Snapshot
from deployengine.engine.audit import ENGINE, record, release_subject
from deployengine.engine.deployments import check_reason, find_release
from deployengine.engine.handoff import HandOff
from deployengine.engine.intake import BY_ITSELF, Intake
from deployengine.engine.package_choice import PackageChoice
from deployengine.engine.package_store import Tell, quietly
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_deployments
from deployengine.engine.wanted import Wanted as Wanted
from deployengine.persistence import Conflict, Database, Transaction
from deployengine.persistence.records import DeploymentRecord, ReleaseRecord


class OtherPackages(RequestError):
    """The catalog came to need other packages while a release was being made."""


@dataclass(slots=True)
class Created:
    """What creating did: the release, whether it is new, and the deployments it began.

    ``superseded`` are the ids of those that had to make room.
    """

    release: ReleaseRecord
    new: bool
    deployments: list[DeploymentRecord] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A release, and whether its variables are others now."""

    release: ReleaseRecord
    changed: bool


class Releases:
    """What people ask of releases."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        clock: Clock,
        unseal: Unseal,
        packages: PackageChoice,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._clock = clock
        self._unseal = unseal
        self._packages = packages

    def create(self, wanted: Wanted, who: str = ENGINE, tell: Tell = quietly) -> Created:
        """Freezes a release; an automatic first phase starts at once.

        Its packages are brought here for that; ``tell`` hears of it. Creating the same release
        again changes nothing. Raises :class:`UnknownName`, ``PackageError``, and
        :class:`AlreadyExists` when the version is there with other content.
        """
        packages = self._packages.of(wanted, tell)
        try:
            created = self._store(wanted, packages, who)
        except Conflict:  # somebody else has just created it: now it is found
            created = self._store(wanted, packages, who)
        self._handoff.exchange(
            leaving=created.superseded, entering=for_deployments(created.deployments)
        )
        return created

    def refresh(self, project: str, version: str, who: str = ENGINE) -> Refreshed:
        """Gives a release today's variables and sets; what it froze else stays.

        Deployments that have been asked for go on with those that they were asked for with. Raises
        :class:`UnknownName`.
        """
        with self._database.write("release") as tx:
            release = find_release(tx, project, version)
            before, today = self._both(tx, release)
            after = before.with_variables_of(today)
            changed = after.digest != before.digest
            if changed:
                tx.releases.refresh(release.id, after)
                now, subject = self._clock.now(), release_subject(project, version)
                found = {"changes": _variable_changes(before, after)}
                record(tx, now, who, Action.RELEASE_REFRESH, subject, after=found)
            return Refreshed(find_release(tx, project, version), changed)

    def drift(self, project: str, version: str) -> str | None:
        """What to warn of who deploys a release: its bypass of the mutex is not that of today.

        ``None``: it is, or the project is not there any more. Raises :class:`UnknownName`.
        """
        with self._database.read() as tx:
            release = find_release(tx, project, version)
            try:
                frozen, today = self._both(tx, release)
            except UnknownName:
                return None
        if frozen.definitions(flags.BYPASS) == today.definitions(flags.BYPASS):
            return None
        return (
            f"{flags.BYPASS} is not today's in {project} {version}: the release froze other values "
            f"(take today's: deployengine release refresh-variables {project} {version})"
        )

    def _both(self, tx: Transaction, release: ReleaseRecord) -> tuple[Snapshot, Snapshot]:
        """What a release froze, and what it would freeze today."""
        wanted = Wanted(release.project, release.version, release.channel)
        frozen = Snapshot(tx.releases.snapshot(release.snapshot_id))
        packages = list(frozen.packages.values())
        return frozen, _Frozen(tx, [wanted]).snapshot(wanted, packages)

    def block(self, project: str, version: str, who: str, reason: str) -> ReleaseRecord:
        """Keeps a release from environments where it has not succeeded; it may be so already.

        What has been queued goes on. Raises :class:`UnknownName` and ``NoReason``.
        """
        check_reason(reason, "to block a release")
        with self._database.write("block") as tx:
            release = find_release(tx, project, version)
            now = self._clock.now()
            if tx.releases.block(release.id, who, reason, now):
                subject = release_subject(project, version)
                record(tx, now, who, Action.RELEASE_BLOCK, subject, reason=reason)
            return find_release(tx, project, version)

    def unblock(self, project: str, version: str, who: str = ENGINE) -> ReleaseRecord:
        """Lets a release go on; somebody has to deploy it to where it would have gone by itself.

        Raises :class:`UnknownName`.
        """
        with self._database.write("block") as tx:
            release = find_release(tx, project, version)
            if tx.releases.unblock(release.id):
                before = {"by": release.blocked_by, "reason": release.blocked_reason}
                subject = release_subject(project, version)
                now = self._clock.now()
                record(tx, now, who, Action.RELEASE_UNBLOCK, subject, before=before)
            return find_release(tx, project, version)

    def _store(self, wanted: Wanted, packages: Sequence[Package], who: str) -> Created:
        with self._database.write("release") as tx:
            creation = Creation(tx, [wanted], self._clock, self._unseal)
            created = creation.create(wanted, packages)
            created.superseded = creation.intake.superseding.ended
            if created.new:
                release = created.release
                subject = release_subject(release.project, release.version)
                after: dict[str, Any] = {
                    "id": release_id(release.id),
                    "channel": release.channel,
                    "digest": release.digest,
                    "deployments": [deployment_id(d.id) for d in created.deployments],
                }
                if packages:
                    after["packages"] = [package.to_document() for package in packages]
                record(tx, self._clock.now(), who, Action.RELEASE_CREATE, subject, after=after)
        return created


def _variable_changes(before: Snapshot, after: Snapshot) -> list[dict[str, Any]]:
    """What differs in the variables and sets; secrets are masked."""
    # Here, since what knows catalogs takes longer to load than all else.
    from deployengine.catalog.changes import changes
    from deployengine.catalog.items import MODELS

    old, new = (
        {key: each.document[key] for key in ("variables", "variable_sets")}
        for each in (before, after)
    )
    return [change.to_document() for change in changes(old, new, MODELS["project"])]


class Creation:
    """Creates releases within one transaction, from one view of the catalog."""

    def __init__(
        self, tx: Transaction, wanted: Sequence[Wanted], clock: Clock, unseal: Unseal
    ) -> None:
        self._tx = tx
        self._clock = clock
        self._catalog = _Frozen(tx, wanted)
        self.intake = Intake(tx, clock, unseal)
        self.intake.superseding.reserve(each.project for each in wanted)

    def create(self, wanted: Wanted, packages: Sequence[Package] = ()) -> Created:
        """Stores one of them, made of these packages, and the deployments that it begins with.

        Raises :class:`RequestError` when something is wrong with it; it is not stored then.
        """
        snapshot = self._catalog.snapshot(wanted, packages)
        self._check(snapshot)
        existing = self._tx.releases.find(snapshot.project, snapshot.version)
        if existing is not None:
            if existing.digest != snapshot.digest:
                there = Snapshot(self._tx.releases.snapshot(existing.snapshot_id))
                differing = ", ".join(there.differences(snapshot))
                raise AlreadyExists(
                    f"{snapshot.project} {snapshot.version} exists with other content: {differing}",
                    None,
                    "releases never change: choose another version",
                )
            return Created(existing, new=False)
        environments = snapshot.lifecycle.automatic_at_start()
        plans = [self.intake.plan(snapshot, name, BY_ITSELF) for name in environments]
        release = self._tx.releases.add(snapshot, self._clock.now())
        begun = [
            self.intake.queue(snapshot, release, name, plan, BY_ITSELF)
            for name, plan in zip(environments, plans, strict=True)
        ]
        return Created(release, new=True, deployments=begun)

    def _check(self, snapshot: Snapshot) -> None:
        """Raises :class:`OtherPackages` unless the packages are those that the process needs."""
        if set(packages_of(snapshot.process)) != snapshot.packages.keys():
            raise OtherPackages(
                f"the packages of {snapshot.project} were changed in the catalog just now",
                None,
                "try again",
            )


class _Frozen:
    """Today's catalog, as far as these releases need it."""

    def __init__(self, tx: Transaction, wanted: Sequence[Wanted]) -> None:
        self._tx = tx
        self._projects = tx.catalog.find("project", sorted({w.project for w in wanted}))
        self._environments = tx.catalog.names("environment")
        self._lifecycles = {d["name"]: d for d in tx.catalog.documents("lifecycle")}
        self._sets = {d["name"]: d for d in tx.catalog.documents("variable_set")}

    def snapshot(self, wanted: Wanted, packages: Sequence[Package]) -> Snapshot:
        """Freezes one release; raises :class:`UnknownName` and ``BadVersion``."""
        project = self._projects.get(wanted.project)
        if project is None:
            raise UnknownName("project", wanted.project, self._tx.catalog.names("project"))
        lifecycle = project["lifecycle"]
        if wanted.channel is not None:
            channels = {c["name"]: c["lifecycle"] for c in project.get("channels", ())}
            check_known(f"channel of {wanted.project}", wanted.channel, channels)
            lifecycle = channels[wanted.channel]
        return Snapshot.freeze(
            project,
            wanted.version,
            wanted.channel,
            Lifecycle.from_document(self._lifecycles[lifecycle]).filled(self._environments),
            [self._sets[name] for name in project.get("include", ())],
            packages,
        )
