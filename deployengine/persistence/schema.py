"""The tables. Rows are written by the repositories beside this module and by nobody else.

State columns hold the words of ``deployengine.domain.deployment``; counters replace sequences so
that numbers are drawn inside the transaction that uses them and come in commit order.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)


class Instant(TypeDecorator[datetime]):
    """A UTC instant with microseconds; refuses naive ones on the way in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite numbers rows by itself only for a column that is plainly INTEGER.
Identity = BigInteger().with_variant(Integer, "sqlite")

catalog_item = Table(
    "catalog_item",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("document", JSON, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# What the engine keeps for itself beside the catalog, by name.
setting_value = Table(
    "setting_value",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

# What a release froze. Never changed: refreshing its variables gives a release another one, while
# deployments go on with the one that they were requested with.
snapshot = Table(
    "snapshot",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("document", JSON, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("project", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("channel", String(255)),
    Column("digest", String(64), nullable=False),
    Column("snapshot_id", ForeignKey(snapshot.c.id), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    # Somebody keeps it from going further.
    Column("blocked_at", Instant),
    Column("blocked_by", String(255)),
    Column("blocked_reason", Text),
    UniqueConstraint("project", "version"),
)

batch = Table(
    "batch",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("cancelled_at", Instant),
)

batch_release = Table(
    "batch_release",
    metadata,
    Column("batch_id", ForeignKey(batch.c.id), primary_key=True),
    Column("release_id", ForeignKey(release.c.id), primary_key=True, index=True),
    Column("position", Integer, nullable=False),
)

# The rows that housekeeping looks at, each with a partial index of its own. A query must state the
# same condition in the same words, or SQLite reads the whole table.
OPEN_DEPLOYMENT = text("deployment.state in ('queued', 'running', 'paused')")
OPEN_RUN = text("step_run.state in ('waiting', 'running')")
RUNNING_RUN = text("step_run.state = 'running'")
AWAITING_RUN = text("step_run.awaits_machine is not null and step_run.state = 'pending'")

deployment = Table(
    "deployment",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("release_id", ForeignKey(release.c.id), nullable=False, index=True),
    Column("snapshot_id", ForeignKey(snapshot.c.id), nullable=False, index=True),
    Column("project", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("environment", String(255), nullable=False),
    Column("phase", String(255), nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    # Its place in line for its task tag. NULL: it asks for nothing, as it waits for a time, for
    # the end of a freeze, or for a person.
    Column("ticket", BigInteger, unique=True),
    Column("tag", String(255), nullable=False),
    # What it holds beside the tag from its first step to its last: [resource, mode, limit].
    Column("holds", JSON(none_as_null=True)),
    Column("plan", JSON, nullable=False),
    Column("message", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("cancel_requested_at", Instant),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("guided", Boolean, nullable=False, server_default=false()),
    Column("requested_by", String(255)),
    # Whether steps or machines were left out, and everything else that was asked for: see Terms.
    Column("partial", Boolean, nullable=False, server_default=false()),
    Column("options", JSON(none_as_null=True)),
    Column("not_before", Instant),
    Column("expires_at", Instant),
    # The freeze that keeps it from beginning.
    Column("frozen_by", String(255)),
    # Promotion by itself happens once per release and environment, whatever is delivered twice.
    Index(
        "uq_deployment_automatic",
        "release_id",
        "environment",
        unique=True,
        sqlite_where=text("automatic"),
        postgresql_where=text("automatic"),
    ),
    Index("ix_deployment_project_environment", "project", "environment"),
    Index(
        "ix_deployment_open",
        "state",
        sqlite_where=text("state in ('queued', 'running', 'paused')"),
        postgresql_where=text("state in ('queued', 'running', 'paused')"),
    ),
    Index(
        "ix_deployment_line",
        "tag",
        "ticket",
        sqlite_where=text("state in ('queued', 'running', 'paused')"),
        postgresql_where=text("state in ('queued', 'running', 'paused')"),
    ),
)

# The same, for who asks what a machine is held by.
deployment_hold = Table(
    "deployment_hold",
    metadata,
    Column("deployment_id", ForeignKey(deployment.c.id), primary_key=True),
    Column("resource", String(255), primary_key=True, index=True),
    Column("mode", String(16), nullable=False),
)

step = Table(
    "step",
    metadata,
    Column("deployment_id", ForeignKey(deployment.c.id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("open_runs", Integer, nullable=False),
    Column("done_at", Instant),
)

step_run = Table(
    "step_run",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("deployment_id", ForeignKey(deployment.c.id), nullable=False),
    Column("step", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("machine", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("lock_mode", String(16), nullable=False),
    Column("ticket", BigInteger, unique=True),
    Column("fence", BigInteger),
    # Under which it ran before it was taken over: the machine must refuse each of them.
    Column("revoked", JSON(none_as_null=True)),
    Column("worker", String(255)),
    Column("ready_at", Instant),
    Column("granted_at", Instant),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("cancel_requested_at", Instant),
    # A run whose end is unknown may ask a person how it ended; answered, it asks no more.
    Column("asked_at", Instant),
    Column("answered_at", Instant),
    Column("answer", String(16)),
    # Moments of grants, by the clock of Redis, that were taken back: their messages are void.
    Column("recalled", JSON(none_as_null=True)),
    # A further attempt gets its ticket then.
    Column("not_before", Instant),
    # It could not begin, as this machine could not be used: it gets a ticket when that is back.
    Column("awaits_machine", String(255)),
    # Whether any worker can see its ticket, wherever it works: that of a machine reached by SSH.
    Column("seen_anywhere", Boolean, nullable=False, server_default=false()),
    Column("exit_code", Integer),
    Column("message", Text),
    Column("outputs", JSON(none_as_null=True)),
    UniqueConstraint("deployment_id", "step", "machine", "attempt"),
    Index(
        "ix_step_run_open",
        "state",
        sqlite_where=text("state in ('waiting', 'running')"),
        postgresql_where=text("state in ('waiting', 'running')"),
    ),
    Index(
        "ix_step_run_line",
        "machine",
        "ticket",
        sqlite_where=text("state in ('waiting', 'running')"),
        postgresql_where=text("state in ('waiting', 'running')"),
    ),
    Index(
        "ix_step_run_running",
        "machine",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "ix_step_run_awaits",
        "state",
        sqlite_where=text("awaits_machine is not null and state = 'pending'"),
        postgresql_where=text("awaits_machine is not null and state = 'pending'"),
    ),
)

# What a run that is open claims beside its machine; most runs claim nothing else.
run_touch = Table(
    "run_touch",
    metadata,
    Column("run_id", ForeignKey(step_run.c.id), primary_key=True),
    Column("resource", String(255), primary_key=True, index=True),
    Column("mode", String(16), nullable=False),
)

run_output = Table(
    "run_output",
    metadata,
    Column("run_id", ForeignKey(step_run.c.id), primary_key=True),
    # Positions in the ticket's output in bytes, so that a later reader knows where to go on.
    Column("start", BigInteger, primary_key=True),
    Column("stop", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("task_cap", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("left_at", Instant),
    # Counts the signs of life. Whoever sees it stand still for a lease may declare the worker lost.
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("lost_at", Instant),
    # Where the folders of its local machines lie: who works elsewhere cannot see its tickets.
    Column("place", String(255)),
)

# Who changed what. Rows are added and never changed; each holds a hash over itself and the one
# before it.
audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False, index=True),
    Column("reason", Text),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("hash", String(64), nullable=False),
)

# When a recurring deployment comes next.
recurrence = Table(
    "recurrence",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("rule", String(255), nullable=False),
    Column("next_at", Instant, nullable=False),
)

# How a machine was found, and what people want of it; one without a row was never looked at.
machine_state = Table(
    "machine_state",
    metadata,
    Column("machine", String(255), primary_key=True),
    Column("state", String(16), nullable=False, server_default="unknown"),
    Column("since", Instant),
    Column("checked_at", Instant),
    Column("message", Text),
    Column("facts", JSON(none_as_null=True)),
    # When somebody is to look again. NULL: nobody, unless he is asked to.
    Column("due_at", Instant),
    Column("mode", String(16), nullable=False, server_default="enabled"),
    Column("reason", Text),
    Column("changed_by", String(255)),
    Column("changed_at", Instant),
)

# The host keys that somebody has looked at and trusts.
trusted_key = Table(
    "trusted_key",
    metadata,
    Column("machine", String(255), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("algorithm", String(64), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("trusted_at", Instant, nullable=False),
    Column("trusted_by", String(255), nullable=False),
)

# Deployments that go without a machine that belongs to them, as it could or should not be used.
# It catches up later.
absence = Table(
    "absence",
    metadata,
    Column("machine", String(255), primary_key=True),
    Column("deployment_id", ForeignKey(deployment.c.id), primary_key=True, index=True),
    Column("why", String(16), nullable=False),
    Column("at", Instant, nullable=False),
)
