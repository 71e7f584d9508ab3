"""Which packages a release is made of: those that its process needs, in a version each.

What feeds have is looked up before the transaction that makes the release, which waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployengine.domain.acquisition import packages_of
from deployengine.domain.errors import check_known
from deployengine.domain.package import Package
from deployengine.domain.package_versions import newest
from deployengine.domain.project import Step, StepKind, steps_of
from deployengine.domain.release import Snapshot
from deployengine.engine.package_store import PackageStore, Tell
from deployengine.engine.wanted import Wanted
from deployengine.packages.errors import NoSuchPackage
from deployengine.persistence import Database, Transaction


class PackageChoice:
    """Looks up packages for releases that are about to be made."""

    def __init__(self, database: Database, store: PackageStore) -> None:
        self._database = database
        self._store = store

    def of(self, wanted: Wanted, tell: Tell) -> Sequence[Package]:
        """The packages of one release; none for a project that is not there.

        A version that is not said is the one of the release, if that is there already, or else the
        newest of the feed. Raises ``UnknownName`` and ``PackageError``.
        """
        with self._database.read() as tx:
            process = _process(tx, wanted.project)
            versions = _frozen(tx, wanted) | dict(wanted.packages)
        needed = packages_of(process)
        for name, _ in wanted.packages if process else ():
            check_known(f"package of {wanted.project}", name, needed)
        feeds = {step.package: step.feed for step in process if step.kind is StepKind.PACKAGE}
        return [self._one(feeds[name], name, versions.get(name), tell) for name in needed]

    def _one(self, feed: str, name: str, version: str | None, tell: Tell) -> Package:
        return self._store.look_up(feed, name, version or self._newest(feed, name), tell)

    def _newest(self, feed: str, name: str) -> str:
        found = newest(self._store.versions(feed, name))
        if found is None:
            raise NoSuchPackage(f"feed {feed} has no version of package {name}")
        return found


def _process(tx: Transaction, project: str) -> Sequence[Step]:
    found = tx.catalog.find("project", [project]).get(project)
    return steps_of(found["process"]) if found else ()


def _frozen(tx: Transaction, wanted: Wanted) -> dict[str, str]:
    release = tx.releases.find(wanted.project, wanted.version.strip())
    if release is None:
        return {}
    packages = Snapshot(tx.releases.snapshot(release.snapshot_id)).packages
    return {package.name: package.version for package in packages.values()}
