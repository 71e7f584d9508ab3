"""Claims: who may run now, as the database sees it, whatever Redis has granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from deployengine import failpoints
from deployengine.domain.admission import Claim
from deployengine.domain.deployment import RunState
from deployengine.domain.plan import ELSEWHERE, MACHINE
from deployengine.persistence.clash import clash
from deployengine.persistence.holds import IN_FORCE
from deployengine.persistence.records import RunRecord, run_record
from deployengine.persistence.schema import (
    RUNNING_RUN,
    deployment,
    deployment_hold,
    run_touch,
    step_run,
    worker,
)

#: Another run on the same machine that stands in the way of this one.
_OTHER = step_run.alias("other")
_CLASHES = and_(
    _OTHER.c.machine == step_run.c.machine,
    clash(_OTHER.c.lock_mode, step_run.c.lock_mode),
    _OTHER.c.lock_mode != ELSEWHERE,
    step_run.c.lock_mode != ELSEWHERE,
)
#: Its deployment holds the machine as a whole, so nobody else is there or comes before.
_HELD_BY_OWN = (
    select(deployment_hold.c.resource)
    .where(
        deployment_hold.c.deployment_id == step_run.c.deployment_id,
        deployment_hold.c.resource == MACHINE + step_run.c.machine,
    )
    .correlate(step_run)
)
_RIVAL = or_(_OTHER.c.deployment_id == step_run.c.deployment_id, ~_HELD_BY_OWN.exists())
_EARLIER = (
    select(_OTHER.c.id)
    .where(
        _CLASHES,
        _RIVAL,
        _OTHER.c.ticket < step_run.c.ticket,
        text("other.state in ('waiting', 'running')"),
    )
    .correlate(step_run)
)
_RUNNING = (
    select(_OTHER.c.id)
    .where(_CLASHES, _RIVAL, _OTHER.c.id != step_run.c.id, text("other.state = 'running'"))
    .correlate(step_run)
)
#: Another one has this machine for a third: see :class:`Claims`.
_ON_BEHALF = (
    select(_OTHER.c.id)
    .join(run_touch, run_touch.c.run_id == _OTHER.c.id)
    .where(
        run_touch.c.resource == MACHINE + step_run.c.machine,
        clash(run_touch.c.mode, step_run.c.lock_mode),
        step_run.c.lock_mode != ELSEWHERE,
        _RIVAL,
        or_(_OTHER.c.ticket < step_run.c.ticket, _OTHER.c.state == RunState.RUNNING),
        text("other.state in ('waiting', 'running')"),
    )
    .correlate(step_run)
)
_HELD_BY_ANOTHER = (
    select(deployment_hold.c.resource)
    .join(deployment, deployment.c.id == deployment_hold.c.deployment_id)
    .where(
        deployment_hold.c.resource == MACHINE + step_run.c.machine,
        step_run.c.lock_mode != ELSEWHERE,
        deployment_hold.c.deployment_id != step_run.c.deployment_id,
        clash(deployment_hold.c.mode, step_run.c.lock_mode),
        IN_FORCE,
    )
    .correlate(step_run)
)
_IS_FREE = (
    ()
    if failpoints.left_out("claim-conflict")
    else (
        ~_EARLIER.exists(),
        ~_RUNNING.exists(),
        ~_ON_BEHALF.exists(),
        ~_HELD_BY_ANOTHER.exists(),
    )
)
_CLAIM = (
    update(step_run)
    .where(
        step_run.c.id == bindparam("which"),
        step_run.c.state == RunState.WAITING,
        *_IS_FREE,
    )
    .values(
        state=RunState.RUNNING,
        worker=bindparam("by"),
        fence=bindparam("number"),
        granted_at=bindparam("granted"),
        started_at=bindparam("started"),
    )
    .returning(*step_run.c)
)


_WORKER_AT_WORK = (
    select(worker.c.name)
    .where(
        worker.c.name == step_run.c.worker, worker.c.left_at.is_(None), worker.c.lost_at.is_(None)
    )
    .correlate(step_run)
)

_LOST, _NEIGHBOUR = worker.alias("lost"), worker.alias("neighbour")
#: A worker in the place of the one that was lost.
_NEIGHBOUR_AT_WORK = (
    select(_NEIGHBOUR.c.name)
    .join(_LOST, _LOST.c.place == _NEIGHBOUR.c.place)
    .where(
        _LOST.c.name == step_run.c.worker,
        _NEIGHBOUR.c.left_at.is_(None),
        _NEIGHBOUR.c.lost_at.is_(None),
    )
    .correlate(step_run)
)


def _moment(granted_at: datetime | None) -> list[str]:
    return [] if granted_at is None else [granted_at.isoformat()]


class Claims:
    """What open runs claim, and the one move that needs nobody else in the way.

    The machine that a run is for stands in its row, with the mode in which the run has it. What it
    claims beside that are *touches*. A run that another machine carries out has nothing of the one
    that it is for (:data:`ELSEWHERE`), and touches the other.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def touch(self, claims: Mapping[int, Sequence[Claim]]) -> None:
        """Notes what runs that became ready claim beside their machines."""
        rows = [
            {"run_id": run_id, "resource": claim.resource, "mode": claim.mode}
            for run_id, beside in claims.items()
            for claim in beside
        ]
        if rows:
            self._connection.execute(insert(run_touch), rows)

    def untouch(self, run_ids: Sequence[int]) -> None:
        """Forgets it for runs that have ended."""
        self._connection.execute(delete(run_touch).where(run_touch.c.run_id.in_(run_ids)))

    def claim(
        self, run_id: int, worker: str, fence: int, granted_at: datetime, now: datetime
    ) -> RunRecord | None:
        """Waiting to running; ``None`` when it is not waiting any more, or must not run yet.

        It must not while a run that clashes with it on the machine runs, or waits with an earlier
        ticket: then Redis should not have let it in. See :meth:`in_the_way`.
        """
        row = self._connection.execute(
            _CLAIM,
            {
                "which": run_id,
                "by": worker,
                "number": fence,
                "granted": granted_at,
                "started": now,
            },
        ).one_or_none()
        return run_record(row) if row else None

    def in_the_way(self, run: RunRecord) -> list[RunRecord]:
        """The open runs that this one must let go first, on its machine and what it touches."""
        touched, own = run_touch.alias("touched"), run_touch.alias("own")
        touching = select(_OTHER).join(touched, touched.c.run_id == _OTHER.c.id)
        on_resource = touching.join(
            own, and_(own.c.resource == touched.c.resource, own.c.run_id == run.id)
        ).where(clash(touched.c.mode, own.c.mode))
        queries = [on_resource]
        for machine, mode in self._machines(run):
            on_machine = select(_OTHER).where(
                _OTHER.c.machine == machine,
                _OTHER.c.lock_mode != ELSEWHERE,
                clash(_OTHER.c.lock_mode, literal(mode)),
            )
            on_behalf = touching.where(
                touched.c.resource == MACHINE + machine, clash(touched.c.mode, literal(mode))
            )
            queries += [on_machine, on_behalf]
        before = (
            or_(_OTHER.c.ticket < run.ticket, _OTHER.c.state == RunState.RUNNING),
            _OTHER.c.id != run.id,
            text("other.state in ('waiting', 'running')"),
            self._rivals(run),
        )
        found = {
            row.id: run_record(row)
            for query in queries
            for row in self._connection.execute(query.where(*before))
        }
        return sorted(found.values(), key=lambda each: each.ticket or 0)

    def _machines(self, run: RunRecord) -> list[tuple[str, str]]:
        """The machines that an open run claims, each with the mode.

        The one that it is for, or those that it touches: one that carries it out, and perhaps the
        one that it is for besides. None, if it brings a package or looks at a machine.
        """
        if run.lock_mode != ELSEWHERE:
            return [(run.machine, run.lock_mode)]
        query = select(run_touch.c.resource, run_touch.c.mode).where(
            run_touch.c.run_id == run.id, run_touch.c.resource.startswith(MACHINE)
        )
        found = self._connection.execute(query)
        return [(resource.removeprefix(MACHINE), mode) for resource, mode in found]

    def _rivals(self, run: RunRecord) -> ColumnElement[bool]:
        """Whose runs may be in the way: of a deployment that holds what they want only its own."""
        holds = select(deployment_hold.c.resource).where(
            deployment_hold.c.deployment_id == run.deployment_id
        )
        own = _OTHER.c.deployment_id == run.deployment_id
        return or_(own, ~holds.exists())

    def recall(
        self, run: RunRecord, granted_at: datetime, later_than: int = -1
    ) -> RunRecord | None:
        """Takes back a grant that no worker has claimed, of a run with a later ticket than this.

        ``None``: there is nothing to take back.
        """
        statement = update(step_run).where(
            step_run.c.id == run.id,
            step_run.c.state == RunState.WAITING,
            step_run.c.ticket > later_than,
        )
        recalled = [*(run.recalled or ()), granted_at.isoformat()]
        row = self._connection.execute(
            statement.values(recalled=recalled).returning(*step_run.c)
        ).one_or_none()
        return run_record(row) if row else None

    def owned(self, run_id: int, fence: int) -> bool:
        """Whether the run still runs under this fence; it then does to the transaction's end."""
        query = select(step_run.c.id).where(_runs_under(run_id, fence))
        return self._connection.execute(query.with_for_update(read=True)).first() is not None

    def orphans(self, of: str, place: str | None = None) -> list[RunRecord]:
        """The running ones whose worker has stopped, was lost, is not known, or is this one.

        Not those of a worker whose machines' folders lie in another place than this, unless their
        tickets are seen from anywhere.
        """
        elsewhere = select(worker.c.name).where(
            worker.c.name == step_run.c.worker, worker.c.place != (place or worker.c.place)
        )
        query = select(step_run).where(
            RUNNING_RUN,
            ~_WORKER_AT_WORK.exists() | (step_run.c.worker == of),
            # What is to be cancelled is given up if nobody is there that could see it.
            ~elsewhere.correlate(step_run).exists()
            | step_run.c.seen_anywhere
            | (step_run.c.cancel_requested_at.is_not(None) & ~_NEIGHBOUR_AT_WORK.exists()),
        )
        return [run_record(row) for row in self._connection.execute(query.order_by(step_run.c.id))]

    def stranded(self, place: str) -> list[RunRecord]:
        """The running ones whose worker has stopped or was lost in another place than this.

        Not those whose tickets are seen from here as well.
        """
        elsewhere = select(worker.c.name).where(
            worker.c.name == step_run.c.worker, worker.c.place != place
        )
        query = select(step_run).where(
            RUNNING_RUN,
            ~step_run.c.seen_anywhere,
            ~_WORKER_AT_WORK.exists(),
            elsewhere.correlate(step_run).exists(),
        )
        return [run_record(row) for row in self._connection.execute(query.order_by(step_run.c.id))]

    def take_over(self, run: RunRecord, by: str, fence: int) -> RunRecord | None:
        """Gives an orphan to a worker, under a new fence; ``None`` when somebody else has it."""
        statement = update(step_run).where(
            _runs_under(run.id, run.fence),
            ~_WORKER_AT_WORK.exists() | (step_run.c.worker == by),
        )
        values = {"worker": by, "fence": fence, "revoked": [*(run.revoked or ()), run.fence]}
        found = self._connection.execute(
            statement.values(**values).returning(*step_run.c)
        ).one_or_none()
        return run_record(found) if found else None

    def hand_over(self, run_id: int, fence: int, to: str | None) -> bool:
        """Puts a run under another worker's name; whether it still ran under this fence."""
        statement = update(step_run).where(_runs_under(run_id, fence))
        return self._connection.execute(statement.values(worker=to)).rowcount == 1

    def put_back(self, run_id: int, fence: int) -> bool:
        """Running to waiting, for a run whose script has never begun; whether this call did it.

        Not for one that is to be cancelled.
        It keeps its ticket and its place: admission has granted it, and nobody took it back.
        """
        statement = update(step_run).where(
            _runs_under(run_id, fence),
            step_run.c.cancel_requested_at.is_(None),
        )
        values = {"state": RunState.WAITING, "worker": None, "fence": None, "started_at": None}
        return self._connection.execute(statement.values(**values)).rowcount == 1

    def set_aside(self, run: RunRecord, machine: str) -> bool:
        """Running to pending, until a machine is back; whether this call did it.

        For a run whose script has never begun, and not for one that is to be cancelled. It has no
        place in line any more.
        """
        statement = update(step_run).where(
            _runs_under(run.id, run.fence),
            step_run.c.cancel_requested_at.is_(None),
        )
        values = {
            "state": RunState.PENDING,
            "awaits_machine": machine,
            # Should its script have begun after all, the next start knows it by this fence.
            "revoked": [*(run.revoked or ()), run.fence],
            # A message of this grant that comes twice is void.
            "recalled": [*(run.recalled or ()), *_moment(run.granted_at)],
            **dict.fromkeys(
                ("ticket", "fence", "worker", "ready_at", "granted_at", "started_at"), None
            ),
        }
        return self._connection.execute(statement.values(**values)).rowcount == 1


def _runs_under(run_id: int, fence: int | None) -> ColumnElement[bool]:
    """Whether the run still runs, and nobody has taken it over."""
    return and_(
        step_run.c.id == run_id, step_run.c.state == RunState.RUNNING, step_run.c.fence == fence
    )
