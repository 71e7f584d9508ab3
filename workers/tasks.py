"""The tasks. Each takes ids and makes one engine call; decisions are the engine's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery import Celery, Task
from celery.worker import state

from deployengine.domain.deployment import RunState
from deployengine.domain.errors import Unreachable
from deployengine.domain.identity import run_id
from deployengine.engine.ports import GrantedRun
from deployengine.queue.app import BEGIN, FINISH, RUN, STEP
from deployengine.queue.transport import URGENT
from deployengine.services import Services


class RunFailed(Exception):
    """A script ended badly. It is on record already; raised so that monitors show a failure."""


def register_links(app: Celery, services: Services) -> None:
    """Makes this process carry out the links of chains."""

    # A link that cannot reach the database or Redis is sent again by housekeeping.
    @app.task(name=BEGIN, shared=False, bind=True, throws=(Unreachable,))
    def begin(task: Task[Any, Any], deployment: int) -> None:
        go_on(task, services.phases.begin(deployment))

    @app.task(name=STEP, shared=False, bind=True, throws=(Unreachable,))
    def step(task: Task[Any, Any], deployment: int, position: int) -> None:
        go_on(task, services.phases.open_stage(deployment, position))

    @app.task(name=FINISH, shared=False, throws=(Unreachable,))
    def finish(deployment: int) -> None:
        services.phases.finish(deployment)

    def go_on(task: Task[Any, Any], ready: bool) -> None:
        if not ready:
            # The chain ends here without failing; whoever ends the step sends the rest of it.
            task.request.chain = None


def register_runs(app: Celery, services: Services) -> None:
    """Makes this process run scripts in its slots."""

    @app.task(name=RUN, shared=False, bind=True, throws=(RunFailed, Unreachable))
    def run(task: Task[Any, Any], number: int, granted_at: float) -> str:
        granted = datetime.fromtimestamp(granted_at, UTC)
        if state.should_stop is not None:
            # It came in while the worker was closing: another one shall begin it.
            urgent = (task.request.delivery_info or {}).get("priority") == URGENT
            services.dispatcher.runs([GrantedRun(number, granted, task.request.argsrepr, urgent)])
            return "handed back"
        outcome = services.step_runs.execute(number, granted)
        if outcome is None:
            return "not waiting any more"
        if outcome.state not in (RunState.SUCCEEDED, RunState.SKIPPED):
            raise RunFailed(f"{run_id(number)} {outcome.state}: {outcome.message}")
        return outcome.state
