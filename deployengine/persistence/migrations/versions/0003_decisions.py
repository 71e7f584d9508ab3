"""What a release manager decides: times, people, priorities, answers, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_DOCUMENT = sa.JSON(none_as_null=True)
#: What is on record stays there. A later revision that has SQLite make the table anew must make
#: these anew as well.
_KEPT = {
    "sqlite": (
        "CREATE TRIGGER audit_event_unchanged BEFORE UPDATE ON audit_event "
        "BEGIN SELECT RAISE(ABORT, 'what is on record is never changed'); END",
        "CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event "
        "BEGIN SELECT RAISE(ABORT, 'what is on record is never removed'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'what is on record is never changed or removed'; END $$",
        "CREATE TRIGGER audit_event_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_refuse()",
    ),
}
_OPEN = "state in ('queued', 'running', 'paused')"
#: The indexes that hold some rows only: they do not survive SQLite's way to change a table.
_PARTIAL = {
    "uq_deployment_automatic": (["release_id", "environment"], "automatic", True),
    "ix_deployment_open": (["state"], _OPEN, False),
    "ix_deployment_line": (["tag", "ticket"], _OPEN, False),
}


def upgrade() -> None:
    """Brings the tables to this revision."""
    op.create_table(
        "setting_value",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting_value")),
    )
    op.create_table(
        "snapshot",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("before", _DOCUMENT, nullable=True),
        sa.Column("after", _DOCUMENT, nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index("ix_audit_event_subject", "audit_event", ["subject"])
    for statement in _KEPT[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "recurrence",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("rule", sa.String(length=255), nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_recurrence")),
    )
    _split_snapshots()
    _change_deployments()
    for table in ("release", "deployment"):  # or each snapshot that is removed reads all of both
        op.create_index(f"ix_{table}_snapshot_id", table, ["snapshot_id"])
    op.create_table(
        "deployment_hold",
        sa.Column("deployment_id", _IDENTITY, nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_hold_deployment_id")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "resource", name=op.f("pk_deployment_hold")),
    )
    op.create_index("ix_deployment_hold_resource", "deployment_hold", ["resource"])
    op.add_column("step_run", sa.Column("answer", sa.String(length=16), nullable=True))
    op.add_column("step_run", sa.Column("recalled", _DOCUMENT, nullable=True))
    op.add_column("step_run", sa.Column("not_before", _INSTANT, nullable=True))


def _split_snapshots() -> None:
    """Each release's snapshot gets a row of its own, under the same number."""
    op.execute(
        "INSERT INTO snapshot (id, digest, document) SELECT id, digest, snapshot FROM release"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('snapshot', 'id'), "
            "(SELECT coalesce(max(id), 0) + 1 FROM snapshot), false)"
        )
    for table in ("release", "deployment"):
        op.add_column(table, sa.Column("snapshot_id", _IDENTITY, nullable=True))
    op.execute("UPDATE release SET snapshot_id = id")
    op.execute("UPDATE deployment SET snapshot_id = release_id")
    with op.batch_alter_table("release") as release:
        release.alter_column("snapshot_id", existing_type=_IDENTITY, nullable=False)
        release.create_foreign_key("fk_release_snapshot_id", "snapshot", ["snapshot_id"], ["id"])
        release.drop_column("snapshot")
        release.add_column(sa.Column("blocked_at", _INSTANT, nullable=True))
        release.add_column(sa.Column("blocked_by", sa.String(length=255), nullable=True))
        release.add_column(sa.Column("blocked_reason", sa.Text(), nullable=True))


def _change_deployments() -> None:
    for name in _PARTIAL:
        op.drop_index(name, table_name="deployment")
    with op.batch_alter_table("deployment") as deployment:
        deployment.alter_column("snapshot_id", existing_type=_IDENTITY, nullable=False)
        deployment.create_foreign_key(
            "fk_deployment_snapshot_id", "snapshot", ["snapshot_id"], ["id"]
        )
        deployment.alter_column("ticket", existing_type=sa.BigInteger(), nullable=True)
        deployment.add_column(sa.Column("holds", _DOCUMENT, nullable=True))
        deployment.add_column(
            sa.Column("priority", sa.Integer(), nullable=False, server_default="0")
        )
        deployment.add_column(
            sa.Column("guided", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        deployment.add_column(
            sa.Column("partial", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        deployment.add_column(sa.Column("requested_by", sa.String(length=255), nullable=True))
        deployment.add_column(sa.Column("options", _DOCUMENT, nullable=True))
        deployment.add_column(sa.Column("not_before", _INSTANT, nullable=True))
        deployment.add_column(sa.Column("expires_at", _INSTANT, nullable=True))
        deployment.add_column(sa.Column("frozen_by", sa.String(length=255), nullable=True))
    _index_deployments()


def _index_deployments() -> None:
    for name, (columns, condition, unique) in _PARTIAL.items():
        op.create_index(
            name,
            "deployment",
            columns,
            unique=unique,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )


def downgrade() -> None:
    """Takes the tables back to the revision before.

    A deployment without a place in line is given the next one, and a release's variables are
    those of its latest refresh.
    """
    op.drop_table("deployment_hold")
    op.drop_column("step_run", "not_before")
    op.drop_column("step_run", "recalled")
    op.drop_column("step_run", "answer")
    op.execute(
        "UPDATE deployment SET ticket = (SELECT coalesce(max(d.ticket), 0) FROM deployment d) + id "
        "WHERE ticket IS NULL"
    )
    for table in ("release", "deployment"):
        op.drop_index(f"ix_{table}_snapshot_id", table_name=table)
    for name in _PARTIAL:
        op.drop_index(name, table_name="deployment")
    with op.batch_alter_table("deployment") as deployment:
        deployment.alter_column("ticket", existing_type=sa.BigInteger(), nullable=False)
        deployment.drop_constraint("fk_deployment_snapshot_id", type_="foreignkey")
        for column in (
            "snapshot_id",
            "holds",
            "priority",
            "guided",
            "partial",
            "requested_by",
            "options",
        ):
            deployment.drop_column(column)
        for column in ("not_before", "expires_at", "frozen_by"):
            deployment.drop_column(column)
    _index_deployments()
    op.add_column("release", sa.Column("snapshot", sa.JSON(), nullable=True))
    op.execute(
        "UPDATE release SET snapshot = "
        "(SELECT document FROM snapshot WHERE snapshot.id = release.snapshot_id)"
    )
    with op.batch_alter_table("release") as release:
        release.alter_column("snapshot", existing_type=sa.JSON(), nullable=False)
        release.drop_constraint("fk_release_snapshot_id", type_="foreignkey")
        for column in ("snapshot_id", "blocked_at", "blocked_by", "blocked_reason"):
            release.drop_column(column)
    for table in ("recurrence", "audit_event", "snapshot", "setting_value"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS audit_event_refuse()")
