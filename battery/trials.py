"""A trial for every protection that can be left out (``deployengine.failpoints.MUTATIONS``).

To add one: a few lines here. The name is the engine's; ``harm`` are rules of the judge.
"""

from __future__ import annotations

from battery.faults.broker_faults import QUEUES, MessagesDropped
from battery.faults.machine_faults import WrapperAndScriptKilled
from battery.faults.process_faults import KillAllWorkers, StopAllWorkers
from battery.faults.redis_faults import RedisFlushed
from battery.house import WORKERS
from battery.trial import ALONE, LONG, Trial

RUNS, CONTROL = QUEUES

TRIALS: tuple[Trial, ...] = (
    # The first attempt fails in Staging, always, and the second one comes after a pause.
    Trial("calendar", harm=("stuck",), projects=("again",)),
    Trial(
        "chains-resumed",
        harm=("stuck",),
        faults=[lambda _: MessagesDropped(CONTROL, 3, 1.5)],
        every=2.0,
    ),
    Trial(
        "claim-conflict",
        harm=("ticket order",),
        # One of the two opens a step and sleeps before Redis hears of it; the other goes on.
        arms={"housekeeping-1": ["sql.open.after=stop@1", "sql.open.after=stop@2"]},
        sleep=2.0,
        further=("missing-entered",),
    ),
    Trial(
        "gone-freed",
        harm=("stuck", "leftover"),
        arms={"worker-1": ["sql.end.after=kill@2", "lua.release.before=kill@2"]},
    ),
    Trial(
        "grants-sent-again",
        harm=("stuck",),
        faults=[lambda _: MessagesDropped(RUNS, 4, 1.5)],
        every=2.0,
    ),
    Trial(
        "machine-lock",
        harm=("mutex",),
        projects=("long-2", "app-1", "app-2", "app-3"),
        faults=[lambda _: RedisFlushed(0.2)],
        every=2.0,
        further=("rebuild", "claim-conflict", "stale-fence"),
    ),
    Trial("masking", harm=("secret",), projects=("secret",)),
    Trial(
        "missing-entered",
        harm=("stuck",),
        arms={"housekeeping": ["sql.open.after=kill@2", "lua.submit.before=kill@2"]},
    ),
    Trial(
        "outlast",
        harm=("stuck",),
        arms={"worker": ["sql.end.before=fail@1", "sql.end.before=fail@2"]},
        # Else whoever looks for runs without an owner would find this one and end it.
        further=("pick-up",),
        renew=False,
    ),
    Trial(
        "output-owner",
        harm=("output",),
        projects=LONG,
        # Not within a transaction: SQLite's lock would keep everybody else away.
        arms={"worker-1": ["ticket.output.after=stop@4", "ticket.output.after=stop@9"]},
        seconds=16.0,
    ),
    Trial(
        "output-resumed",
        harm=("output",),
        projects=LONG,
        faults=[lambda _: KillAllWorkers(WORKERS)],
    ),
    Trial("pick-up", harm=("stuck",), projects=LONG, faults=[lambda _: KillAllWorkers(WORKERS)]),
    Trial(
        "put-back",
        harm=("unexplained end", "stuck"),
        arms={"worker-1": ["sql.claim.after=kill@1", "sql.claim.after=kill@2"]},
    ),
    Trial(
        "rebuild",
        harm=("stuck", "mutex", "ticket order"),
        faults=[lambda _: RedisFlushed(0.2)],
        every=2.0,
        further=("missing-entered",),
    ),
    Trial(
        "recalled",
        harm=("recalled",),
        projects=("urgent", *ALONE),
        # What was granted lies in its queue when an urgent run comes; then both messages are taken.
        faults=[lambda _: StopAllWorkers(0.8)],
        every=1.2,
        # The database would refuse the run whose grant was taken back, as an urgent one waits.
        further=("claim-conflict",),
        seconds=16.0,
    ),
    Trial(
        "revoked",
        harm=("begin twice",),
        # Those that share a machine sign no fence there, so that no newer one tells.
        projects=("share-1", "share-2", "long-1"),
        arms={"worker-1": ["sql.claim.after=stop@1", "sql.claim.after=stop@2"]},
        sleep=5.0,
        further=("self-fence",),
        seconds=20.0,
    ),
    Trial(
        "self-fence",
        harm=("begin twice",),
        projects=LONG,
        arms={"worker-1": ["sql.claim.after=stop@1", "sql.claim.after=stop@2"]},
        further=("revoked", "stale-fence", "start-once"),
        seconds=16.0,
    ),
    Trial(
        "stale-fence",
        harm=("begin twice", "mutex", "ticket order"),
        arms={"worker-1": ["sql.claim.after=stop@1", "sql.claim.after=stop@2"]},
        further=("revoked", "self-fence"),
        seconds=20.0,
    ),
    Trial(
        "start-once",
        harm=("begin twice",),
        # He wakes while the other one's script runs; after its end the ticket is gone.
        projects=("long-1",),
        long_everywhere=True,
        arms={"worker-1": ["sql.claim.after=stop@1", "sql.claim.after=stop@2"]},
        sleep=2.4,
        further=("revoked", "self-fence", "stale-fence"),
        seconds=20.0,
    ),
    Trial(
        "tidy",
        harm=("leftover",),
        arms={"worker": ["ticket.clean.before=kill@1", "ticket.clean.before=kill@2"]},
    ),
    Trial(
        "unknown",
        harm=("false success",),
        projects=LONG,
        faults=[lambda dice: WrapperAndScriptKilled(dice, "long-1")],
    ),
    Trial("window", harm=("window",), projects=("roll",)),
)
