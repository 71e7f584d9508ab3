"""Deployments: a release on its way into one environment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, text, update

from deployengine.domain.deployment import DeploymentState
from deployengine.persistence.pages import pages
from deployengine.persistence.records import DeploymentRecord, NewDeployment
from deployengine.persistence.schema import OPEN_DEPLOYMENT, batch_release, deployment

COLUMNS = tuple(column for column in deployment.c if column.name != "plan")
_BEGUN = (DeploymentState.RUNNING, DeploymentState.PAUSED)
_OPEN = (DeploymentState.QUEUED, *_BEGUN)
_IN_LINE = (OPEN_DEPLOYMENT, deployment.c.ticket.is_not(None))
_BY_ID = select(*COLUMNS).where(deployment.c.id == bindparam("which"))


class Deployments:
    """Deployments and their lawful moves; a move that is not lawful any more changes nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: NewDeployment, ticket: int | None, now: datetime) -> int:
        """Stores a queued deployment with its plan and returns its id.

        Without a ticket it has no place in line yet.
        """
        statement = insert(deployment).values(
            release_id=new.release_id,
            snapshot_id=new.snapshot_id,
            project=new.project,
            version=new.version,
            environment=new.environment,
            phase=new.phase,
            automatic=new.automatic,
            plan=new.plan,
            tag=new.plan["tag"],
            holds=new.plan.get("holds"),
            priority=new.priority,
            guided=new.guided,
            requested_by=new.requested_by,
            partial=new.partial,
            options=new.options,
            not_before=new.not_before,
            expires_at=new.expires_at,
            frozen_by=new.frozen_by,
            state=DeploymentState.QUEUED,
            ticket=ticket,
            created_at=now,
        )
        return int(self._connection.execute(statement.returning(deployment.c.id)).scalar_one())

    def get(self, deployment_id: int) -> DeploymentRecord | None:
        """The deployment with this id."""
        row = self._connection.execute(_BY_ID, {"which": deployment_id}).first()
        return _record(row) if row else None

    def locked(self, deployment_id: int) -> DeploymentRecord | None:
        """The same, holding its row to the end of the transaction."""
        row = self._connection.execute(_BY_ID.with_for_update(), {"which": deployment_id}).first()
        return _record(row) if row else None

    def lock_all(self, ids: Collection[int], queued_of: Collection[str] = ()) -> None:
        """Holds these rows, and all that have not begun of some projects, in the order of ids."""
        begun = deployment.c.started_at.is_not(None)
        queued = deployment.c.project.in_(queued_of) & OPEN_DEPLOYMENT & ~begun
        query = select(deployment.c.id).where(deployment.c.id.in_(ids) | queued)
        self._connection.execute(query.order_by(deployment.c.id).with_for_update())

    def plan(self, deployment_id: int) -> dict[str, Any]:
        """The stored plan."""
        query = select(deployment.c.plan).where(deployment.c.id == deployment_id)
        document: dict[str, Any] = self._connection.execute(query).scalar_one()
        return document

    def begin(self, deployment_id: int, now: datetime) -> bool:
        """Queued to running; whether this call did it.

        Not while another of its task tag has begun, or waits with an earlier ticket: then Redis
        should not have let it in. See :meth:`in_the_way`.
        """
        other = deployment.alias("other")
        before = (
            select(other.c.id)
            .where(
                other.c.tag == deployment.c.tag,
                other.c.id != deployment.c.id,
                other.c.ticket.is_not(None),
                (other.c.ticket < deployment.c.ticket) | other.c.state.in_(_BEGUN),
                text("other.state in ('queued', 'running', 'paused')"),
            )
            .correlate(deployment)
        )
        statement = update(deployment).where(
            deployment.c.id == deployment_id,
            deployment.c.state == DeploymentState.QUEUED,
            deployment.c.ticket.is_not(None),
            ~before.exists(),
        )
        # One that stood aside meanwhile began before.
        started = func.coalesce(deployment.c.started_at, now)
        begun = statement.values(state=DeploymentState.RUNNING, started_at=started)
        return self._connection.execute(begun).rowcount == 1

    def in_the_way(self, waiting: DeploymentRecord) -> list[DeploymentRecord]:
        """The open deployments of its task tag that this one must let go first."""
        query = select(*COLUMNS).where(
            deployment.c.tag == waiting.tag,
            deployment.c.id != waiting.id,
            deployment.c.ticket.is_not(None),
            (deployment.c.ticket < waiting.ticket) | deployment.c.state.in_(_BEGUN),
            OPEN_DEPLOYMENT,
        )
        return self._list(query)

    def supersede(
        self, project: str, environment: str, by: int, message: str, now: datetime
    ) -> list[int]:
        """Ends those of older releases that have not begun and are whole; which they were."""
        statement = (
            update(deployment)
            .where(
                deployment.c.project == project,
                deployment.c.environment == environment,
                deployment.c.release_id < by,
                deployment.c.state == DeploymentState.QUEUED,
                deployment.c.started_at.is_(None),
                ~deployment.c.partial,
            )
            .values(state=DeploymentState.SUPERSEDED, finished_at=now, message=message)
            .returning(deployment.c.id)
        )
        return sorted(self._connection.execute(statement).scalars())

    def end(
        self, deployment_id: int, state: DeploymentState, message: str | None, now: datetime
    ) -> bool:
        """To a final state; whether this call did it."""
        return self._move(deployment_id, _OPEN, state=state, finished_at=now, message=message)

    def unpause_in_line(self, deployment_id: int) -> bool:
        """The same for one that has kept its place; whether it has, or was not paused at all."""
        held = select(deployment.c.id).where(
            deployment.c.id == deployment_id,
            (deployment.c.state != DeploymentState.PAUSED) | deployment.c.ticket.is_not(None),
        )
        if self._connection.execute(held).first() is None:
            return False
        self.unpause(deployment_id)
        return True

    def give_up(
        self, deployment_id: int, state: DeploymentState, message: str, now: datetime
    ) -> bool:
        """Queued and never begun to a final state; whether this call did it."""
        statement = update(deployment).where(
            deployment.c.id == deployment_id,
            deployment.c.state == DeploymentState.QUEUED,
            deployment.c.started_at.is_(None),
        )
        values = {"state": state, "finished_at": now, "message": message}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def pause(self, deployment_id: int) -> bool:
        """Running to paused, as a run of it asks a person; whether this call did it.

        Call with the row :meth:`locked`, so that no answer comes between.
        """
        return self._move(deployment_id, (DeploymentState.RUNNING,), state=DeploymentState.PAUSED)

    def unpause(self, deployment_id: int) -> bool:
        """Paused to running, once no run of it asks any more; whether this call did it."""
        return self._move(deployment_id, (DeploymentState.PAUSED,), state=DeploymentState.RUNNING)

    def stand_aside(self, deployment_id: int) -> bool:
        """Gives up the place in line of a paused deployment; whether this call did it."""
        return self._move(deployment_id, (DeploymentState.PAUSED,), ticket=None)

    def line_up(self, deployment_id: int, ticket: int) -> bool:
        """Gives a place in line to a deployment that has none; whether this call did it.

        It is queued for its task tag then, whether it has begun before or not.
        """
        statement = update(deployment).where(
            deployment.c.id == deployment_id,
            deployment.c.ticket.is_(None),
            deployment.c.state.in_((DeploymentState.QUEUED, DeploymentState.PAUSED)),
        )
        values = {"ticket": ticket, "state": DeploymentState.QUEUED, "frozen_by": None}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def set_ticket(self, deployment_id: int, ticket: int) -> bool:
        """Gives a queued deployment another place in line; whether this call did it."""
        return self._move(deployment_id, (DeploymentState.QUEUED,), ticket=ticket)

    def set_priority(self, deployment_id: int, priority: int) -> bool:
        """Gives an open deployment another priority; whether this call did it."""
        return self._move(deployment_id, _OPEN, priority=priority)

    def freeze(self, deployment_id: int, by: str) -> bool:
        """Takes a queued deployment out of line for a freeze; whether this call did it."""
        return self._move(deployment_id, (DeploymentState.QUEUED,), ticket=None, frozen_by=by)

    def without_place(self) -> list[DeploymentRecord]:
        """Those that wait for a time or for the end of a freeze, the oldest first."""
        return self._list(
            select(*COLUMNS).where(
                OPEN_DEPLOYMENT, deployment.c.state == "queued", deployment.c.ticket.is_(None)
            )
        )

    def expired(self, now: datetime) -> list[DeploymentRecord]:
        """Those that have not begun in time, the oldest first."""
        return self._list(
            select(*COLUMNS).where(
                OPEN_DEPLOYMENT,
                deployment.c.state == "queued",
                deployment.c.started_at.is_(None),
                deployment.c.expires_at <= now,
            )
        )

    def request_cancel(self, deployment_id: int, now: datetime) -> None:
        """Marks an open deployment, so that it opens no further step and ends as cancelled."""
        self._move(deployment_id, _OPEN, cancel_requested_at=now)

    def _move(
        self, deployment_id: int, from_states: Sequence[DeploymentState], **values: Any
    ) -> bool:
        statement = update(deployment).where(
            deployment.c.id == deployment_id, deployment.c.state.in_(from_states)
        )
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def of_release(self, release_id: int) -> list[DeploymentRecord]:
        """The release's deployments, the oldest first."""
        return self._list(select(*COLUMNS).where(deployment.c.release_id == release_id))

    def of_releases(self, release_ids: Sequence[int]) -> list[DeploymentRecord]:
        """The deployments of some releases, the oldest first."""
        queries = (
            select(*COLUMNS).where(deployment.c.release_id.in_(page))
            for page in pages(sorted(release_ids))
        )
        found = [each for query in queries for each in self._list(query)]
        return sorted(found, key=lambda each: each.id)

    def of_batch(self, batch_id: int) -> list[DeploymentRecord]:
        """The deployments of the batch's releases, the oldest first."""
        query = select(*COLUMNS).join(
            batch_release, batch_release.c.release_id == deployment.c.release_id
        )
        return self._list(query.where(batch_release.c.batch_id == batch_id))

    def open(self) -> list[DeploymentRecord]:
        """All that have not ended and have a place in line, the oldest first."""
        return self._list(select(*COLUMNS).where(*_IN_LINE))

    def open_ids(self) -> set[int]:
        """The ids only."""
        query = select(deployment.c.id).where(*_IN_LINE)
        return set(self._connection.execute(query).scalars())

    def count_open(self) -> int:
        """How many they are."""
        query = select(func.count()).select_from(deployment).where(*_IN_LINE)
        return int(self._connection.execute(query).scalar_one())

    def still_queued(self, deployment_ids: Sequence[int]) -> set[int]:
        """Those of these that have not begun."""
        query = select(deployment.c.id).where(
            deployment.c.id.in_(deployment_ids), deployment.c.state == DeploymentState.QUEUED
        )
        return set(self._connection.execute(query).scalars())

    def some(
        self,
        project: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        requested_by: str | None = None,
    ) -> list[DeploymentRecord]:
        """Those that match, the newest first."""
        query = select(*COLUMNS).order_by(deployment.c.id.desc()).limit(limit)
        for column, value in (
            (deployment.c.project, project),
            (deployment.c.environment, environment),
            (deployment.c.state, state),
            (deployment.c.requested_by, requested_by),
        ):
            if value is not None:
                query = query.where(column == value)
        return [_record(row) for row in self._connection.execute(query)]

    def succeeded_environments(self, release_id: int) -> set[str]:
        """Where the release has succeeded."""
        query = select(deployment.c.environment).where(
            deployment.c.release_id == release_id,
            deployment.c.state == DeploymentState.SUCCEEDED,
        )
        return set(self._connection.execute(query).scalars())

    def newer_release_in(self, project: str, environment: str, release_id: int) -> str | None:
        """The version of a newer release that has begun in the environment.

        One that failed there counts: it may be half installed. One that waits does not: it may
        never begin.
        """
        there = _begun_in(project, environment).where(deployment.c.release_id > release_id)
        return self._connection.execute(there.limit(1)).scalars().first()

    def overtaken_by(self, waiting: DeploymentRecord) -> str | None:
        """The version of what has begun in its environment and is newer, or a later request for
        the same release.
        """
        there = _begun_in(waiting.project, waiting.environment).where(
            (deployment.c.release_id > waiting.release_id)
            | ((deployment.c.release_id == waiting.release_id) & (deployment.c.id > waiting.id))
        )
        return self._connection.execute(there.limit(1)).scalars().first()

    def was_started_by_itself(self, release_id: int, environment: str) -> bool:
        """Whether the release has been promoted to the environment already."""
        query = select(func.count()).where(
            deployment.c.release_id == release_id,
            deployment.c.environment == environment,
            deployment.c.automatic,
        )
        return bool(self._connection.execute(query).scalar())

    def _list(self, query: Select[Any]) -> list[DeploymentRecord]:
        rows = self._connection.execute(query.order_by(deployment.c.id))
        return [_record(row) for row in rows]


def _begun_in(project: str, environment: str) -> Select[str]:
    return select(deployment.c.version).where(
        deployment.c.project == project,
        deployment.c.environment == environment,
        deployment.c.started_at.is_not(None),
    )


def _record(row: Any) -> DeploymentRecord:
    values = row._asdict()
    values["state"] = DeploymentState(values["state"])
    return DeploymentRecord(**values)
