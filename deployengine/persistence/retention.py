"""What retention looks at, and what it removes: a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, case, delete, exists, func, or_, select, tuple_

from deployengine.domain.deployment import DeploymentState
from deployengine.domain.retention import Stay
from deployengine.persistence.pages import pages
from deployengine.persistence.records import Trace
from deployengine.persistence.schema import (
    OPEN_DEPLOYMENT,
    absence,
    batch_release,
    deployment,
    deployment_hold,
    release,
    run_output,
    run_touch,
    snapshot,
    step,
    step_run,
)

_SUCCEEDED = case((deployment.c.state == DeploymentState.SUCCEEDED, deployment.c.id))

_HAS_OUTPUT = exists().where(run_output.c.run_id == step_run.c.id)
_TRACE = (
    deployment.c.id,
    deployment.c.release_id,
    deployment.c.project,
    deployment.c.version,
    deployment.c.environment,
)


class Retention:
    """Releases that have been somewhere, and the removal of all that belongs to them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stays(self, project: str) -> list[Stay]:
        """Where the project's releases have been."""
        query = (
            select(
                deployment.c.release_id,
                release.c.channel,
                deployment.c.environment,
                func.max(deployment.c.id),
                func.max(_SUCCEEDED),
            )
            .join(release, release.c.id == deployment.c.release_id)
            .where(deployment.c.project == project)
            .group_by(deployment.c.release_id, release.c.channel, deployment.c.environment)
        )
        return [Stay(*row) for row in self._connection.execute(query)]

    def held(self) -> set[int]:
        """Releases of which nothing may go, whatever environments say.

        Those that are under way, those of batches that are, and those with the highest number of
        their kind: SQLite would give that number again, to something else.
        """
        open_ = select(deployment.c.release_id).where(OPEN_DEPLOYMENT)
        batches = select(batch_release.c.batch_id).where(batch_release.c.release_id.in_(open_))
        in_batches = select(batch_release.c.release_id).where(batch_release.c.batch_id.in_(batches))
        run = select(func.max(step_run.c.id)).scalar_subquery()
        latest_run = select(step_run.c.deployment_id).where(step_run.c.id == run)
        highest = select(func.max(deployment.c.id)).scalar_subquery()
        latest = select(deployment.c.release_id).where(
            or_(deployment.c.id == highest, deployment.c.id.in_(latest_run))
        )
        newest = select(func.max(release.c.id))
        found = (open_, in_batches, latest, newest)
        return {number for query in found for number in self._connection.execute(query).scalars()}

    def deployments(self, releases: Collection[int]) -> list[Trace]:
        """All deployments of these releases, in order of id."""
        found = []
        for page in pages(sorted(releases)):
            query = select(*_TRACE).where(deployment.c.release_id.in_(page))
            found += [Trace(*row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda trace: trace.id)

    def with_logs(self, deployments: Sequence[int]) -> set[int]:
        """Those of these deployments of which some output is stored."""
        found: set[int] = set()
        for page in pages(deployments):
            query = select(step_run.c.deployment_id).where(
                step_run.c.deployment_id.in_(page), _HAS_OUTPUT
            )
            found |= set(self._connection.execute(query.distinct()).scalars())
        return found

    def drop_logs(self, deployments: Sequence[int], limit: int) -> int:
        """Removes at most so many pieces of their output; how many.

        What somebody else is removing is left to them.
        """
        key = (run_output.c.run_id, run_output.c.start)
        some = (
            select(*key)
            .join(step_run, step_run.c.id == run_output.c.run_id)
            .where(step_run.c.deployment_id.in_(deployments))
            .limit(limit)
            .with_for_update(skip_locked=True, of=run_output)
        )
        # By a query: SQLite would read the whole table for a list of such pairs.
        dropped = self._connection.execute(delete(run_output).where(tuple_(*key).in_(some)))
        return dropped.rowcount

    def drop_runs(self, deployments: Sequence[int], limit: int) -> int:
        """Removes at most so many of their runs, those that have no output any more; how many."""
        query = (
            select(step_run.c.id)
            .where(step_run.c.deployment_id.in_(deployments), ~_HAS_OUTPUT)
            .limit(limit)
            .with_for_update(skip_locked=True, of=step_run)
        )
        found = list(self._connection.execute(query).scalars())
        if found:
            self._connection.execute(delete(run_touch).where(run_touch.c.run_id.in_(found)))
            self._connection.execute(delete(step_run).where(step_run.c.id.in_(found)))
        return len(found)

    def free(self, releases: Collection[int]) -> set[int]:
        """Those of these that can be removed now: nobody is using them, and they have no runs.

        Their rows stay locked to the end of the transaction.
        """
        query = select(release.c.id).where(release.c.id.in_(releases))
        locked = self._connection.execute(query.with_for_update(skip_locked=True))
        busy = (
            select(deployment.c.release_id)
            .join(step_run, step_run.c.deployment_id == deployment.c.id)
            .where(deployment.c.release_id.in_(releases))
        )
        return set(locked.scalars()) - set(self._connection.execute(busy.distinct()).scalars())

    def remove(self, releases: Collection[int]) -> None:
        """Removes releases, and their deployments, that are :meth:`free` and in no batch."""
        own = deployment.c.release_id.in_(releases)
        numbers = select(deployment.c.id).where(own).scalar_subquery()
        for table in (step, deployment_hold, absence):
            self._connection.execute(delete(table).where(table.c.deployment_id.in_(numbers)))
        self._connection.execute(delete(deployment).where(own))
        self._connection.execute(delete(release).where(release.c.id.in_(releases)))

    def drop_snapshots(self, limit: int) -> int:
        """Removes at most so many snapshots that nothing refers to; how many.

        Not the one with the highest number: SQLite would give it again.
        """
        used = (
            exists().where(release.c.snapshot_id == snapshot.c.id),
            exists().where(deployment.c.snapshot_id == snapshot.c.id),
        )
        highest = select(func.max(snapshot.c.id)).scalar_subquery()
        query = (
            select(snapshot.c.id)
            .where(~used[0], ~used[1], snapshot.c.id < highest)
            .limit(limit)
            .with_for_update(skip_locked=True, of=snapshot)
        )
        found = list(self._connection.execute(query).scalars())
        if found:
            self._connection.execute(delete(snapshot).where(snapshot.c.id.in_(found)))
        return len(found)
