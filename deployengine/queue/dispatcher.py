"""The engine's dispatcher over Celery: task names, ids, and a label for people who watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from celery import Celery, chain
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from deployengine import failpoints
from deployengine.domain.errors import Unreachable
from deployengine.domain.identity import run_id
from deployengine.engine.ports import Backlog, GrantedRun, Link, LinkKind
from deployengine.locks.beats import address
from deployengine.queue.app import (
    BEGIN,
    CANCEL_RUNS,
    CONTROL_QUEUE,
    FINISH,
    KEY_PREFIX,
    PICK_UP,
    RUN,
    RUNS_QUEUE,
    STEP,
)
from deployengine.queue.transport import URGENT, URGENT_LIST

_NAMES = {LinkKind.BEGIN: BEGIN, LinkKind.STEP: STEP, LinkKind.FINISH: FINISH}


class CeleryDispatcher:
    """Sends links as one chain and runs as single tasks.

    A run's message bears the run's own id, so that a monitor shows one task for it, parked,
    granted and done, however often it is sent. ``watched`` says whether anybody listens to events.
    """

    def __init__(
        self, app: Celery, redis: Redis, watched: Callable[[], bool] = lambda: False
    ) -> None:
        self._app = app
        self._redis = redis
        self.watched = watched

    def chain(self, links: Sequence[Link]) -> None:
        """Has the links done in order, each when the one before has ended."""
        signatures = [self._signature(link) for link in links]
        with _publishing("chain", self._redis):
            if len(signatures) == 1:
                signatures[0].apply_async()
            else:
                chain(*signatures, app=self._app).apply_async()

    def runs(self, granted: Sequence[GrantedRun]) -> None:
        """Hands each run to whichever worker has a free slot."""
        with _publishing("runs", self._redis), self._app.producer_or_acquire() as producer:
            for run in granted:
                self._app.send_task(
                    RUN,
                    args=(run.run_id, run.granted_at.timestamp()),
                    task_id=run_id(run.run_id),
                    queue=RUNS_QUEUE,
                    argsrepr=run.label,
                    kwargsrepr="",
                    producer=producer,
                    priority=URGENT if run.urgent else None,
                )

    def parked(self, labels: Sequence[tuple[int, str]]) -> None:
        """Shows these runs as PARKED to those who watch events."""
        if not self.watched():
            return
        with _publishing("parked", self._redis), self._app.events.default_dispatcher() as events:
            for number, label in labels:
                events.send(
                    "task-parked", uuid=run_id(number), name=RUN, args=label, kwargs="", retries=0
                )

    def cancel(self, run_ids: Sequence[int]) -> None:
        """Tells all workers; those that run none of these do nothing."""
        with _publishing("cancel", self._redis):
            self._redis.ping()  # a broadcast would be tried for ever while nobody answers
            self._app.control.broadcast(CANCEL_RUNS, arguments={"runs": list(run_ids)})

    def left(self) -> None:
        """Tells all workers that one has left, so that they look for what it was running."""
        with _publishing("cancel", self._redis):
            self._redis.ping()
            self._app.control.broadcast(PICK_UP)

    def backlog(self) -> Backlog:
        """The lengths of the two queues."""
        links, runs, urgent = (
            int(self._redis.llen(f"{KEY_PREFIX}{name}"))
            for name in (CONTROL_QUEUE, RUNS_QUEUE, f"{RUNS_QUEUE}{URGENT_LIST}")
        )
        return Backlog(links, runs + urgent)

    def _signature(self, link: Link) -> Signature:
        args = (
            (link.deployment_id,)
            if link.kind is not LinkKind.STEP
            else (
                link.deployment_id,
                link.position,
            )
        )
        return Signature(
            _NAMES[link.kind],
            args=args,
            immutable=True,
            app=self._app,
            options={"queue": CONTROL_QUEUE, "argsrepr": link.label, "kwargsrepr": ""},
        )


@contextmanager
def _publishing(door: str, client: Redis) -> Iterator[None]:
    """Turns a broker that does not answer into the error people are told."""
    failpoints.hit(f"publish.{door}.before")
    try:
        yield
    except (OperationalError, RedisError, ConnectionError) as error:
        advice = f"{error}; check DEPLOYENGINE_REDIS_URL and that it runs"
        raise Unreachable("Redis", address(client), advice) from error
    failpoints.hit(f"publish.{door}.after")
