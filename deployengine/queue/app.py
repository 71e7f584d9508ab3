"""The Celery application as both sides share it: broker, queues, names. It knows no task code.

What each setting is for, since the defaults would lose, hoard or repeat work:

- A slot takes no message before it is free (``worker_disable_prefetch``), so no worker hoards
  what another could run.
- "Late" acknowledgement: nothing is acknowledged really (next point), but Celery then wakes the
  consumer's loop when a task has ended instead of when it begins, which is when a slot becomes
  free and the next message may be fetched. Otherwise a full worker would notice a second late.
- Nothing is acknowledged (:mod:`~deployengine.queue.transport`): a message that is lost between
  Redis and a slot is sent again by housekeeping, one that comes twice is refused by the claim in
  the database. So nothing needs a broker that never errs, and no time-out delivers again what
  still runs.
- No result backend, no groups, no chords, no countdowns: the database is the truth, and nothing
  waits in a worker's memory.
- JSON only.
"""

from __future__ import annotations

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from deployengine.queue.transport import URGENT

#: Links of chains: short, many at once, beside the slots.
CONTROL_QUEUE = "control"
#: Step runs that may start now; its consumers' slots are the task cap.
RUNS_QUEUE = "runs"

BEGIN = "deployment begin"
STEP = "step open"
FINISH = "deployment finish"
RUN = "step run"

#: What kombu puts before the names of its keys.
KEY_PREFIX = "deployengine:queue:"

#: The remote control command that makes a worker end runs.
CANCEL_RUNS = "cancel_runs"
#: The one that makes a worker look for runs to take over, as another has just left some.
PICK_UP = "pick_up"

#: The URL scheme of our transport.
SCHEME = "hints"

#: Connections to the broker that a process keeps for sending; its threads share them.
PUBLISHERS = 16


def make_app(broker_url: str) -> Celery:
    """A Celery application on this broker; opens no connection yet."""
    TRANSPORT_ALIASES[SCHEME] = "deployengine.queue.transport:HintTransport"
    app = Celery("deployengine", broker=_hints(broker_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_default_queue=RUNS_QUEUE,
        task_routes={RUN: {"queue": RUNS_QUEUE}, "*": {"queue": CONTROL_QUEUE}},
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=PUBLISHERS,
        broker_transport_options={
            "global_keyprefix": KEY_PREFIX,
            "socket_keepalive": True,
            # A queue's lists in the order in which they are fetched from.
            "priority_steps": [URGENT, 0],
        },
        timezone="UTC",
        enable_utc=True,
    )
    return app


def _hints(url: str) -> str:
    """``redis://…`` or ``redis+socket://…`` as a URL of our transport."""
    return f"{SCHEME}+{url.removeprefix('redis+')}"
