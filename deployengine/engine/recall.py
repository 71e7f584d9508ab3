"""Recall: what is urgent does not wait for grants that no worker has claimed yet.

With the task cap used up, runs that were granted wait for a slot and hold their machines. One that
is urgent would wait for each of them to come to a slot and run. So their grants are taken back:
they give up their claims, line up again behind it with the tickets they had, and the messages that
are under way for them are void (``recalled_at``).
"""

from __future__ import annotations

from collections.abc import Sequence

from deployengine.domain.admission import Request
from deployengine.domain.identity import Kind, parse, run_id
from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.requests import for_run
from deployengine.locks import MachineLocks
from deployengine.persistence import Database


class Recall:
    """Takes grants back."""

    def __init__(
        self, database: Database, locks: MachineLocks, handoff: HandOff, archive: Archive
    ) -> None:
        self._database = database
        self._locks = locks
        self._handoff = handoff
        self._archive = archive

    def make_way(self, urgent: Sequence[Request]) -> None:
        """Takes back what stands in the way of these requests, those that wait among them.

        Raises ``Unreachable``; whatever is not taken back is waited for.
        """
        granted = {grant.request_id: grant for grant in self._locks.grants()}
        waiting = [request for request in urgent if request.id not in granted]
        resources = {claim.resource for request in waiting for claim in request.claims}
        if not resources:
            return
        first = min(request.ticket for request in waiting)
        holders = {
            holder.id
            for resource in sorted(resources)
            for view in self._locks.holders_and_waiters(resource)
            if view.resource == resource
            for holder in view.holders
        }
        found = [parse(name) for name in holders & granted.keys()]
        back = []
        with self._database.write("recall") as tx:
            # Runs by their ids, as everybody does.
            for number in sorted(number for kind, number in found if kind is Kind.RUN):
                holder = tx.runs.get(number)
                if holder is None:
                    continue
                run = tx.claims.recall(holder, granted[run_id(number)].granted_at, first)
                if run is not None:
                    deployment = self._archive.deployment(tx, run.deployment_id)
                    plan = self._archive.plan(tx, deployment.id)
                    back.append(for_run(deployment, plan, run))
        # One call frees them and grants who comes first then; those who line up again come after.
        self._handoff.exchange(leaving=[each.id for each in back], entering=back)
