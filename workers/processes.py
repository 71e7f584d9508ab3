"""The two kinds of process: one runs scripts in slots, one carries out links and keeps house."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

from celery import Celery
from celery.worker.control import control_command

from deployengine.queue.app import CANCEL_RUNS, CONTROL_QUEUE, RUNS_QUEUE
from deployengine.services import Services
from workers.housekeeping import Heartbeat, Housekeeping
from workers.tasks import register_links, register_runs

#: Links are short, and one at a time they stay in order: so the releases of a batch come to their
#: first machine in the order of its rows.
CONTROL_THREADS = 1


def run_slots(
    services: Services, task_cap: int, *, with_control: bool, until_stdin_closes: bool
) -> int:
    """A worker: ``task_cap`` slots, each with one running script and nothing else.

    With ``with_control`` it brings a housekeeping process of its own, so that one worker is
    enough to carry releases; many workers may share one instead. A first SIGTERM or SIGINT ends
    it when the scripts that run have ended.
    """
    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    app = services.app
    register_runs(app, services, name)
    control_command(name=CANCEL_RUNS, args=[("runs", list)])(_cancel_runs(services))
    heartbeat = Heartbeat(services, name, task_cap)
    heartbeat.start()
    companion = _start_companion() if with_control else None
    if until_stdin_closes:
        _follow_stdin()
    try:
        return _consume(services, name, RUNS_QUEUE, task_cap)
    finally:
        heartbeat.stop()
        if companion is not None:
            assert companion.stdin is not None
            companion.stdin.close()
            companion.wait()


def run_control(services: Services, *, until_stdin_closes: bool) -> int:
    """Housekeeping: carries out links and sends again what got lost."""
    name = f"housekeeping-{os.getpid()}@{socket.gethostname()}"
    register_links(services.app, services)
    housekeeping = Housekeeping(services)
    housekeeping.start()
    if until_stdin_closes:
        _follow_stdin()
    try:
        return _consume(services, name, CONTROL_QUEUE, CONTROL_THREADS)
    finally:
        housekeeping.stop()


def _consume(services: Services, name: str, queue: str, threads: int) -> int:
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


def _start_companion() -> subprocess.Popen[bytes]:
    """A housekeeping process that ends with this one, even when this one is killed."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "workers", "control", "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def _follow_stdin() -> None:
    """Ends this process, as SIGTERM does, when whoever started it has ended."""
    threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()


def _stop_when_stdin_closes() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
