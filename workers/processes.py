"""The two kinds of process: one runs scripts in slots, one carries out links and keeps house."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from celery.worker import state
from celery.worker.control import control_command

from deployengine.domain.errors import DeployEngineError
from deployengine.engine.lease import beat_interval
from deployengine.queue.app import CANCEL_RUNS, CONTROL_QUEUE, PICK_UP, RUNS_QUEUE
from deployengine.services import Services
from workers.companion import Companion
from workers.locks_watch import LOOK_EVERY, LocksWatch
from workers.rounds import Rounds
from workers.tasks import register_links, register_runs

log = logging.getLogger("deployengine.worker")

#: Links are short, and one at a time they stay in order: so the releases of a batch come to their
#: first machine in the order of its rows.
CONTROL_THREADS = 1
#: Seconds between two looks at which machines are due, and how often that may be wanted at most.
HEALTH_EVERY = 5.0
SOONEST = 0.5
#: Looks around between two that go over all machines for what was left there.
TIDY_EVERY = 5


def run_slots(services: Services, *, with_control: bool, until_stdin_closes: bool) -> int:
    """A worker: as many slots as the task cap, each with one running script and nothing else.

    With ``with_control`` it brings a housekeeping process of its own, so that one worker is
    enough to carry releases; many workers may share one instead. A first SIGTERM or SIGINT ends
    it when the scripts that run have ended; SIGQUIT ends it at once, and its scripts go on with
    another worker.
    """
    register_runs(services.app, services)
    heartbeat = _heartbeat(services)
    look_around = _look_around(services)
    control_command(name=CANCEL_RUNS, args=[("runs", list)])(_cancel_runs(services))
    control_command(name=PICK_UP)(_pick_up(look_around))
    leaving = Leaving(services, heartbeat)
    worker_ready.connect(leaving.listen, weak=False)
    companion = Companion() if with_control else None

    def begin() -> None:
        for thread in (heartbeat, look_around, companion):
            if thread is not None:
                thread.start()
        if until_stdin_closes:
            _follow_stdin()

    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    try:
        return _consume(services, name, RUNS_QUEUE, services.settings.task_cap, begin)
    finally:
        look_around.stop()
        services.pick_up.join()
        leaving.leave()
        if companion is not None:
            companion.stop()


def run_control(services: Services, *, until_stdin_closes: bool) -> int:
    """Housekeeping: carries out links and sends again what got lost."""
    name = f"housekeeping-{os.getpid()}@{socket.gethostname()}"
    register_links(services.app, services)
    for command in (CANCEL_RUNS, PICK_UP):  # they come to every process
        control_command(name=command)(_not_for_us)
    housekeeping = Rounds(
        "housekeeping",
        services.settings.housekeeping_interval,
        services.recovery.sweep,
        spread=0.2,
        # An embedded Redis that died is started again; the locks are rebuilt by who asks first.
        on_trouble=services.ensure_redis,
    )
    locks_watch = LocksWatch(services.ensure_redis, services.locks, housekeeping.at_once)
    locks = Rounds("the watch over the locks", LOOK_EVERY, locks_watch.look, spread=0.2)
    calendar = Rounds("the calendar", LOOK_EVERY, services.look_at_the_clock, spread=0.2)
    health = Rounds("health", health_round(services), services.look_at_machines, spread=0.2)
    retention = Rounds(
        "retention", services.settings.retention_interval, services.retention.look, spread=0.1
    )

    def begin() -> None:
        housekeeping.start()
        locks.start()
        calendar.start()
        health.start()
        retention.start()
        if until_stdin_closes:
            _follow_stdin()

    try:
        return _consume(services, name, CONTROL_QUEUE, CONTROL_THREADS, begin)
    finally:
        retention.stop()
        health.stop()
        calendar.stop()
        locks.stop()
        housekeeping.stop()


def health_round(services: Services) -> float:
    """Seconds between two looks at which machines are due."""
    interval = services.settings.health_interval or HEALTH_EVERY
    return min(max(interval, SOONEST), HEALTH_EVERY)


def _heartbeat(services: Services) -> Rounds:
    """Signs of life, in a thread that does nothing else and so is never late."""
    interval = beat_interval(services.settings.lease)
    return Rounds("heartbeat", interval, services.lease.beat, on_trouble=services.ensure_redis)


def _look_around(services: Services) -> Rounds:
    """What a worker does for others: it takes over, ends what was cancelled, and tidies up."""

    looks = count()

    def look() -> None:
        # While the worker closes it hears no broadcast; and a broadcast may get lost.
        services.step_runs.cancel(services.recovery.cancelling())
        if state.should_stop is not None:
            return  # it is about to end, and takes on nothing more
        services.pick_up.look()
        if next(looks) % TIDY_EVERY == 0:
            services.tidiness.look()

    return Rounds("look around", beat_interval(services.settings.lease), look, spread=0.1)


class Leaving:
    """A worker's farewell: once, when it ends or when it lets go of its scripts."""

    def __init__(self, services: Services, heartbeat: Rounds) -> None:
        self._services = services
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._left = False

    def listen(self, **_: object) -> None:
        """Takes SIGQUIT from Celery, which would wait for the scripts or end them."""
        signal.signal(signal.SIGQUIT, self._on_quit)

    def _on_quit(self, _number: int, _frame: object) -> None:
        state.should_stop = 0
        # In a thread: the lock that is needed may be held by what this signal interrupts.
        threading.Thread(target=self._let_go, daemon=True).start()

    def _let_go(self) -> None:
        log.warning("asked to end at once: what runs here goes on with another worker")
        self._services.step_runs.let_go()
        self.leave()

    def leave(self) -> None:
        """Gives no sign of life any more, and tells the others."""
        with self._lock:
            if self._left:
                return
            self._left = True
            self._heartbeat.stop()
            try:
                self._services.lease.leave()
                self._services.dispatcher.left()
            except DeployEngineError as error:
                log.warning("others will miss this worker in a while: %s", error)


def _consume(
    services: Services, name: str, queue: str, threads: int, begin: Callable[[], None]
) -> int:
    """Consumes a queue until told to stop.

    ``begin`` starts the threads beside it: not before Celery has set itself up, which writes to
    the process's environment, while drivers of databases read it in C in any thread, and crash.
    """
    app: Celery = services.app
    worker = app.Worker(
        hostname=name,
        pool="threads",
        concurrency=threads,
        queues=[queue],
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=False,  # without it Celery makes no dispatcher, and Flower sees nothing
    )
    services.dispatcher.watched = lambda: _watched(worker)
    begin()
    gc.freeze()  # what is loaded by now stays; the collector need not walk over it again and again
    worker.start()
    return int(worker.exitcode or 0)


def _watched(worker: Any) -> bool:
    """Whether a monitor has asked for events; Flower does when it starts."""
    events = getattr(worker.consumer, "event_dispatcher", None)
    return events is not None and events.enabled and "task" in events.groups


def _cancel_runs(services: Services) -> Any:
    def cancel_runs(_state: Any, runs: list[int]) -> dict[str, str]:
        services.step_runs.cancel(runs)
        return {"ok": "asked"}

    return cancel_runs


def _not_for_us(_state: Any, **_arguments: Any) -> dict[str, str]:
    return {"ok": "no worker"}


def _pick_up(look_around: Rounds) -> Any:
    def pick_up(_state: Any) -> dict[str, str]:
        look_around.at_once()
        return {"ok": "looking"}

    return pick_up


def _follow_stdin() -> None:
    """Ends this process, as SIGTERM does, when whoever started it has ended."""
    threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()


def _stop_when_stdin_closes() -> None:
    while os.read(0, 1):  # not through sys.stdin, whose lock this thread would take to the grave
        pass
    os.kill(os.getpid(), signal.SIGTERM)
