"""Order: people change who comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from deployengine.domain.admission import Request
from deployengine.domain.audit import Action
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError, Unreachable
from deployengine.domain.identity import deployment_id, run_id
from deployengine.engine.archive import Archive
from deployengine.engine.audit import ENGINE, record
from deployengine.engine.deployments import find_deployment
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.requests import for_deployments, for_run
from deployengine.engine.tickets import HIGHEST, LOWEST, at_top, before, moved
from deployengine.locks import MachineLocks
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import TICKET
from deployengine.persistence.records import DeploymentRecord


class HasEnded(RequestError):
    """A deployment that has ended comes nowhere any more."""


class NotInLine(RequestError):
    """There is nothing to move: all of it runs, or waits for something else than its turn."""


class Order:
    """Gives what waits of a deployment other tickets, and lets it in by them."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        locks: MachineLocks,
        clock: Clock,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._locks = locks
        self._clock = clock

    def move_to_top(self, number: int, who: str = ENGINE) -> DeploymentRecord:
        """Puts what waits of a deployment before everything else that waits, once.

        What comes later of it has tickets of its own time. Raises ``UnknownName``,
        :class:`HasEnded`, and :class:`NotInLine` when nothing of it waits in line.
        """

        def first(tx: Transaction) -> Callable[[int], int]:
            tx.counters.lock(TICKET)
            mine = tx.views.waiting_tickets(number)
            if not mine:
                raise NotInLine(
                    f"nothing of {deployment_id(number)} waits in line now",
                    None,
                    f"deployengine why {deployment_id(number)} tells what it waits for",
                )
            places = before(tx.views.first_ticket(), len(mine))
            return dict(zip(mine, places, strict=True)).__getitem__

        return self._reorder(number, first, Action.DEPLOYMENT_TOP, who)

    def prioritise(self, number: int, priority: int, who: str = ENGINE) -> DeploymentRecord:
        """Gives a deployment another priority, and what waits of it the tickets of that.

        From -5 to 5; 0 is that of any other. Raises ``UnknownName`` and :class:`HasEnded`.
        """
        if not LOWEST <= priority <= HIGHEST:
            raise RequestError(f"a priority is from {LOWEST} to {HIGHEST}, not {priority}")

        def at_priority(tx: Transaction) -> Callable[[int], int]:
            tx.deployments.set_priority(number, priority)
            # What was put at the top stays there.
            return lambda ticket: ticket if at_top(ticket) else moved(ticket, priority)

        return self._reorder(number, at_priority, Action.DEPLOYMENT_PRIORITISE, who)

    def _reorder(
        self,
        number: int,
        order: Callable[[Transaction], Callable[[int], int]],
        action: Action,
        who: str,
    ) -> DeploymentRecord:
        granted = self._granted()
        with self._database.write("reorder") as tx:
            deployment = find_deployment(tx, number, lock=True)
            if deployment.state.final:
                raise HasEnded(f"{deployment_id(number)} has ended: {deployment.state}")
            place_of = order(tx)
            if deployment.state is DeploymentState.QUEUED and deployment.ticket is not None:
                tx.deployments.set_ticket(number, place_of(deployment.ticket))
            for run in tx.lanes.waiting(number):
                assert run.ticket is not None
                tx.lanes.set_ticket(run.id, place_of(run.ticket))
                if since := granted.get(run_id(run.id)):
                    tx.claims.recall(run, since)  # it comes anew, with a message of its own
            before, deployment = deployment, find_deployment(tx, number)
            self._record(tx, who, action, before, deployment)
            let_in = deployment_id(number) in granted
            entering = self._waiting(tx, deployment, let_in=let_in)
        with self._handoff.or_later(f"the new place of {deployment_id(number)}"):
            # They leave and come again, since admission knows them by the tickets that they had.
            self._handoff.exchange(leaving=[each.id for each in entering], entering=entering)
        return deployment

    def _granted(self) -> dict[str, datetime]:
        """Who has been let in, and when; nobody as far as is known while Redis is away."""
        try:
            return {grant.request_id: grant.granted_at for grant in self._locks.grants()}
        except Unreachable:
            return {}

    def _record(
        self,
        tx: Transaction,
        who: str,
        action: Action,
        before: DeploymentRecord,
        after: DeploymentRecord,
    ) -> None:
        now, subject = self._clock.now(), deployment_id(before.id)
        if action is Action.DEPLOYMENT_TOP:
            record(tx, now, who, action, subject)
        elif before.priority != after.priority:
            was, is_ = {"priority": before.priority}, {"priority": after.priority}
            record(tx, now, who, action, subject, before=was, after=is_)

    def _waiting(
        self, tx: Transaction, deployment: DeploymentRecord, *, let_in: bool
    ) -> list[Request]:
        plan = self._archive.plan(tx, deployment.id)
        queued = deployment.state is DeploymentState.QUEUED
        # One that has been let in already is about to begin.
        own = for_deployments([deployment]) if queued and not let_in else []
        return [*own, *(for_run(deployment, plan, run) for run in tx.lanes.waiting(deployment.id))]
