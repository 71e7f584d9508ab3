"""Hand-off: who leaves lets the next in line in, and whoever is let in is dispatched.

Everything here happens after the transaction that it follows from has been committed, and may be
lost with the process that does it: housekeeping finds what was lost in the database.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache

from deployengine import failpoints
from deployengine.domain.admission import Request
from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.errors import Unreachable
from deployengine.domain.identity import Kind, parse
from deployengine.domain.plan import Plan, Stage
from deployengine.engine.archive import Archive
from deployengine.engine.moved import Moved
from deployengine.engine.ports import Dispatcher, GrantedRun, Link, LinkKind
from deployengine.engine.requests import deployment_label, for_deployment, for_deployments, for_run
from deployengine.engine.tickets import first_ordinary, level
from deployengine.locks import (
    GenerationStale,
    Grant,
    LocksNotReady,
    MachineLocks,
    RebuildSuperseded,
)
from deployengine.persistence import Database, Transaction
from deployengine.persistence.counters import GENERATION
from deployengine.persistence.records import DeploymentRecord

log = logging.getLogger("deployengine.handoff")

#: Seconds between two looks at locks that somebody else is loading.
LOOK_AGAIN = 0.2
#: So many looks without progress, and whoever is loading them counts as dead.
STANDS_STILL = 10


class HandOff:
    """The way in and out of admission, and what is dispatched because of it."""

    def __init__(
        self, database: Database, locks: MachineLocks, dispatcher: Dispatcher, archive: Archive
    ) -> None:
        self._database = database
        self._locks = locks
        self._dispatcher = dispatcher
        self._archive = archive
        self._generation: int | None = None
        self._rebuilding = threading.Lock()
        self._pause = threading.Event()  # never set: to wait by
        #: Takes back what is in the way of urgent requests; see :mod:`deployengine.engine.recall`.
        self.make_way: Callable[[Sequence[Request]], None] = lambda _: None

    def exchange(self, leaving: Sequence[str] = (), entering: Sequence[Request] = ()) -> None:
        """Frees the claims of those who leave, queues those who enter, dispatches all granted.

        Safe to repeat: who has left or entered already changes nothing.
        """
        generation = self._generation
        grants = self._ready(lambda generation: self._exchange(generation, leaving, entering))
        self.dispatch(grants)
        granted = {grant.request_id for grant in grants}
        parked = [request for request in entering if request.id not in granted]
        if self._generation == generation:  # else a rebuild has granted some of them
            self._tell_parked(parked)
        if urgent := [request for request in parked if level(request.ticket) > 0]:
            self.make_way(urgent)

    def _exchange(
        self, generation: int, leaving: Sequence[str], entering: Sequence[Request]
    ) -> list[Grant]:
        if leaving and entering:
            return self._locks.exchange(generation, leaving, entering)
        if leaving:
            return self._locks.release(generation, leaving)
        return self._locks.submit(generation, entering)

    @contextmanager
    def or_later(self, what: str) -> Iterator[None]:
        """Tells what does not reach Redis, and goes on: it is on record, and found there."""
        try:
            yield
        except Unreachable as error:
            log.warning("%s is on record, what follows comes later: %s", what, error)

    def dispatch(self, grants: Sequence[Grant]) -> None:
        """Sends what has been granted on its way."""
        runs: list[GrantedRun] = []
        overtaken = self._overtaken(grants)
        for grant in grants:
            kind, number = parse(grant.request_id)
            if kind is Kind.RUN:
                urgent = level(grant.ticket) > 0 and grant.ticket < overtaken
                runs.append(GrantedRun(number, grant.granted_at, grant.label, urgent))
            else:
                self.resume(number)
        if runs:
            self._dispatcher.runs(runs)

    def _overtaken(self, grants: Sequence[Grant]) -> int:
        """What comes before this ticket, and is urgent, goes before all that waits for a slot.

        So what waits there is overtaken by no more than what its ticket lets overtake it.
        """
        if not any(level(grant.ticket) > 0 for grant in grants):
            return 0
        with self._database.read() as tx:
            return first_ordinary(tx)

    def follow(
        self, deployment: DeploymentRecord, plan: Plan, moved: Moved, leaving: Sequence[str] = ()
    ) -> None:
        """Lets in and out what came of a move, and the chain go on if its stage is done.

        A deployment that lines up for its tag goes on when it is let in.
        """
        self.exchange(
            leaving=[*leaving, *moved.leaving],
            entering=[
                *(for_run(deployment, plan, run) for run in moved.ready),
                *for_deployments(moved.lining_up),
            ],
        )
        if moved.done and not moved.lining_up:
            self.resume(deployment.id)

    def give_back(self, refused: Request, ahead: Sequence[Request], *, held: bool) -> None:
        """Undoes a grant that the database refused, and puts those before it first in line.

        Redis may be asked by a later ticket before an earlier one has reached it; then entering
        the earlier ones is enough. That somebody ``held`` what was granted means that Redis has
        lost the truth: everything is loaded again. Without giving back, both would wait forever.
        """
        if held:
            self.rebuild()
        else:
            # All of them come anew: Redis may have them with tickets that they have no more.
            every = [*ahead, refused]
            self.exchange(leaving=[request.id for request in every], entering=every)

    def void(self, request: Request, granted_at: datetime) -> None:
        """Ends a grant that was taken back in the database, should Redis still have it.

        Whoever took it back may have died before that.
        """
        found = self._locks.view(request.id)
        if found is not None and found.granted_at == granted_at:
            self.exchange(leaving=[request.id], entering=[request])

    def resume(self, deployment_id: int) -> None:
        """Sends the rest of the deployment's chain, derived from what the database says is done."""
        with self._database.read() as tx:
            links = remaining_links(tx, self._archive, deployment_id)
        if links:
            self._dispatcher.chain(links)

    def advance(self) -> None:
        """Ends what a process that died in the middle of a hand-off left half done."""
        self.dispatch(self._ready(self._locks.advance))

    def rebuild(self) -> None:
        """Loads the locks from the database, in ticket order, and dispatches what is granted.

        For a Redis that was emptied, restored or replaced. Whoever rebuilds last wins, and loads
        what the others saw; so who is overtaken leaves it to him.
        """
        with self._database.write("rebuild") as tx:
            generation = tx.counters.draw(GENERATION)
        # Read once the rebuild has begun, so that others see it under way and wait for it.
        read = cache(self._standing)
        try:
            grants = self._locks.rebuild(
                generation, (each for each in read()[0]), (each for each in read()[1])
            )
        except (GenerationStale, RebuildSuperseded):
            return
        self._generation = generation
        failpoints.hit("branch.rebuild")
        self.dispatch(grants)

    def _ready(self, act: Callable[[int], list[Grant]]) -> list[Grant]:
        try:
            return act(self._known_generation())
        except LocksNotReady:
            with self._rebuilding:
                return self._once_loaded(act)

    def _once_loaded(self, act: Callable[[int], list[Grant]]) -> list[Grant]:
        """Does it when somebody has loaded the locks; loads them when nobody does."""
        for look in range(3):
            if look:  # all who see it empty see it at once: they begin one after the other
                self._pause.wait(random.uniform(0, 2 * LOOK_AGAIN))  # noqa: S311
            stands_still = self._await_loading()
            try:
                return act(self._known_generation(fresh=True))
            except LocksNotReady:
                if stands_still:
                    break
        self.rebuild()
        return []  # what was asked is in the database, so it is done with the rebuild

    def _await_loading(self) -> bool:
        """Waits while somebody loads the locks; whether whoever began it stands still."""
        before, stood = self._locks.loading(), 0
        while before is not None and stood < STANDS_STILL:
            self._pause.wait(LOOK_AGAIN)
            now = self._locks.loading()
            stood = stood + 1 if now == before else 0
            before = now
        return before is not None

    def _standing(self) -> tuple[list[Request], list[Request]]:
        if failpoints.left_out("rebuild"):
            return [], []
        with self._database.read() as tx:
            return standing(tx, self._archive)

    def _known_generation(self, *, fresh: bool = False) -> int:
        if self._generation is None or fresh:
            with self._database.read() as tx:
                self._generation = tx.counters.value(GENERATION)
        return self._generation

    def _tell_parked(self, requests: Sequence[Request]) -> None:
        parked = [
            (number, request.label)
            for request in requests
            for kind, number in [parse(request.id)]
            if kind is Kind.RUN
        ]
        if parked:
            self._dispatcher.parked(parked)


def standing(tx: Transaction, archive: Archive) -> tuple[list[Request], list[Request]]:
    """Who holds and who waits, as the database has it."""
    deployments = {d.id: d for d in tx.deployments.open()}
    queued = {d.id for d in deployments.values() if d.state is DeploymentState.QUEUED}
    holding = [for_deployment(d) for d in deployments.values() if d.id not in queued]
    waiting = [for_deployment(d) for d in deployments.values() if d.id in queued]
    for run in tx.runs.open():
        # One that was begun since the deployments were read is for the next who looks.
        if deployment := deployments.get(run.deployment_id):
            request = for_run(deployment, archive.plan(tx, deployment.id), run)
            (holding if run.state is RunState.RUNNING else waiting).append(request)
    return holding, waiting


def _named(stage: Stage, left: Mapping[int, str]) -> str:
    return ", ".join(left[position] for position in stage.positions if position in left)


def remaining_links(tx: Transaction, archive: Archive, deployment_id: int) -> list[Link]:
    """The links that a deployment still has to go through; none once it has ended."""
    deployment = tx.deployments.get(deployment_id)
    if deployment is None or deployment.state.final:
        return []
    label = deployment_label(deployment)
    left = {s.position: s.name for s in tx.steps.of(deployment_id) if s.state is not StepState.DONE}
    links = [
        Link(LinkKind.STEP, deployment_id, stage.first, f"{label} · {_named(stage, left)}")
        for stage in archive.plan(tx, deployment_id).stages
        if not left.keys().isdisjoint(stage.positions)
    ]
    if deployment.state is DeploymentState.QUEUED:
        links.insert(0, Link(LinkKind.BEGIN, deployment_id, 0, label))
    return [*links, Link(LinkKind.FINISH, deployment_id, 0, label)]
