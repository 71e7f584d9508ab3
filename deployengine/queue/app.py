"""The Celery application as both sides share it: broker, queues, names. It knows no task code.

What each setting is for, since the defaults would lose, hoard or repeat work:

- A message is acknowledged when a slot takes it, and a slot takes no message before it is free
  (``worker_disable_prefetch``). So no worker hoards what another could run, and a script that
  runs for hours is never delivered again by the visibility time-out.
- A message that is lost between Redis and a slot is sent again by housekeeping; one that comes
  twice is refused by the claim in the database. So neither needs a broker that never errs.
- No result backend, no groups, no chords, no countdowns: the database is the truth, and nothing
  waits in a worker's memory.
- JSON only.
"""

from __future__ import annotations

from celery import Celery

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

#: Connections to the broker that a process keeps for sending; its threads share them.
PUBLISHERS = 16

#: Seconds after which Redis offers a message again that was fetched and not acknowledged.
VISIBILITY_TIMEOUT = 3600


def make_app(broker_url: str) -> Celery:
    """A Celery application on this broker; opens no connection yet."""
    app = Celery("deployengine", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=False,
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
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "global_keyprefix": KEY_PREFIX,
            "socket_keepalive": True,
        },
        timezone="UTC",
        enable_utc=True,
    )
    return app
