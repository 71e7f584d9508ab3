"""Housekeeping: what the database says should be under way is compared with what is.

Any process may sweep, several at once do no harm: whatever a sweep sends again is refused by the
database where it came through the first time. A sweep costs a few counts while all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployengine import failpoints
from deployengine.domain.admission import Request
from deployengine.domain.identity import Kind, deployment_id, parse, run_id
from deployengine.engine.archive import Archive
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock, Dispatcher
from deployengine.engine.requests import for_deployments, for_run
from deployengine.engine.sightings import Sightings
from deployengine.locks import Grant, MachineLocks
from deployengine.persistence import Database, Transaction

#: Seconds that a message may be under way before it counts as lost.
LOST_AFTER = 3.0
#: Sweeps between two that look at every row, whatever the counts say.
THOROUGH_EVERY = 12


class Recovery:
    """Finds what got lost and sends it again."""

    def __init__(
        self,
        database: Database,
        locks: MachineLocks,
        handoff: HandOff,
        dispatcher: Dispatcher,
        archive: Archive,
        clock: Clock,
    ) -> None:
        self._database = database
        self._locks = locks
        self._handoff = handoff
        self._dispatcher = dispatcher
        self._archive = archive
        self._grants: Sightings[Grant] = Sightings(clock, LOST_AFTER)
        self._stalled: Sightings[tuple[int, int]] = Sightings(clock, LOST_AFTER)
        self._sweeps = 0

    def sweep(self) -> None:
        """One round of housekeeping."""
        # Before the database is asked: what has stood still while it was away is sent at once.
        old = self._grants.ripe(self._locks.grants())
        self._handoff.advance()
        self._compare_locks(thorough=self._sweeps % THOROUGH_EVERY == 0)
        self._sweeps += 1
        self._send_again(old)
        self._resume_stalled()
        self._repeat_cancels()

    def _compare_locks(self, *, thorough: bool) -> None:
        """Enters who is missing and frees who has ended."""
        with self._database.read() as tx:
            expected = tx.runs.count_open() + tx.deployments.count_open()
        present = self._locks.counts().requests
        if expected != present or thorough:
            self._repair_locks()
        if thorough:
            self._repair_order()

    def _repair_locks(self) -> None:
        # Redis is read first: what it holds and the database has ended since may be freed, and
        # what the database has begun since is entered, both of which are safe to repeat.
        present = self._locks.ids()
        with self._database.read() as tx:
            runs, deployments = tx.runs.open_ids(), tx.deployments.open_ids()
            expected = {run_id(n) for n in runs} | {deployment_id(n) for n in deployments}
            missing = self._requests(tx, expected - present)
        gone = sorted(present - expected)
        if failpoints.left_out("missing-entered"):
            missing = []
        if failpoints.left_out("gone-freed"):
            gone = []
        if gone or missing:
            self._handoff.exchange(leaving=gone, entering=missing)

    def _repair_order(self) -> None:
        """Has those line up again whose tickets were changed, and Redis did not hear of it."""
        known = self._locks.waiting_tickets()
        with self._database.read() as tx:
            wrong = [r for r in self._requests(tx, known) if r.ticket != known[r.id]]
        if wrong:
            self._handoff.exchange(leaving=[r.id for r in wrong], entering=wrong)

    def _requests(self, tx: Transaction, ids: Iterable[str]) -> list[Request]:
        numbers = _by_kind(ids)
        requests = [
            for_run(
                self._archive.deployment(tx, run.deployment_id),
                self._archive.plan(tx, run.deployment_id),
                run,
            )
            for run in tx.runs.some(numbers[Kind.RUN])
        ]
        found = (tx.deployments.get(number) for number in numbers[Kind.DEPLOYMENT])
        return requests + for_deployments(deployment for deployment in found if deployment)

    def _send_again(self, old: Sequence[Grant]) -> None:
        """Grants whose message got lost: held for a while, taken by nobody, and in no queue."""
        lost = self._untaken(old) if old and not failpoints.left_out("grants-sent-again") else []
        backlog = self._dispatcher.backlog() if lost else None
        if backlog is None:
            return
        runs = [grant for grant in lost if parse(grant.request_id)[0] is Kind.RUN]
        links = [grant for grant in lost if grant not in runs]
        # With the task cap used up, messages may lie in their queue for long and not be lost.
        if backlog.runs < len(runs):
            self._handoff.dispatch(runs)
        if links and backlog.links == 0:
            self._handoff.dispatch(links)

    def _untaken(self, grants: Sequence[Grant]) -> list[Grant]:
        numbers = _by_kind(grant.request_id for grant in grants)
        with self._database.read() as tx:
            untaken = {run_id(n) for n in tx.runs.still_waiting(numbers[Kind.RUN])}
            queued = tx.deployments.still_queued(numbers[Kind.DEPLOYMENT])
        untaken |= {deployment_id(n) for n in queued}
        return [grant for grant in grants if grant.request_id in untaken]

    def _resume_stalled(self) -> None:
        with self._database.read() as tx:
            stalled = self._stalled.ripe(tx.steps.stalled())
        if failpoints.left_out("chains-resumed"):
            return
        if stalled and self._dispatcher.backlog().links == 0:
            for number, _ in stalled:
                self._handoff.resume(number)

    def cancelling(self) -> list[int]:
        """The runs that are to be ended and still run."""
        with self._database.read() as tx:
            return tx.runs.cancelling()

    def _repeat_cancels(self) -> None:
        cancelling = self.cancelling()
        if cancelling:
            self._dispatcher.cancel(cancelling)


def _by_kind(ids: Iterable[str]) -> dict[Kind, list[int]]:
    numbers: dict[Kind, list[int]] = {Kind.RUN: [], Kind.DEPLOYMENT: []}
    for kind, number in map(parse, ids):
        numbers[kind].append(number)
    return numbers
