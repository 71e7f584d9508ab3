"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Brings the tables to this revision."""
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("name", name=op.f("uq_batch_name")),
    )
    op.create_table(
        "catalog_item",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_catalog_item")),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.bulk_insert(
        sa.table("counter", sa.column("name"), sa.column("value")),
        [{"name": name, "value": 0} for name in ("ticket", "fence", "generation")],
    )
    op.create_table(
        "release",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("project", "version", name=op.f("uq_release_project_version")),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("task_cap", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )
    op.create_table(
        "batch_release",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "release_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_batch_release_batch_id")),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("fk_batch_release_release_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "release_id", name=op.f("pk_batch_release")),
    )
    with op.batch_alter_table("batch_release", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_batch_release_release_id"), ["release_id"], unique=False
        )

    op.create_table(
        "deployment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "release_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("phase", sa.String(length=255), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("fk_deployment_release_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("ticket", name=op.f("uq_deployment_ticket")),
    )
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deployment_line",
            ["tag", "ticket"],
            unique=False,
            sqlite_where=sa.text("state in ('queued', 'running')"),
            postgresql_where=sa.text("state in ('queued', 'running')"),
        )
        batch_op.create_index(
            "ix_deployment_open",
            ["state"],
            unique=False,
            sqlite_where=sa.text("state in ('queued', 'running')"),
            postgresql_where=sa.text("state in ('queued', 'running')"),
        )
        batch_op.create_index(
            "ix_deployment_project_environment", ["project", "environment"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_deployment_release_id"), ["release_id"], unique=False)
        batch_op.create_index(
            "uq_deployment_automatic",
            ["release_id", "environment"],
            unique=True,
            sqlite_where=sa.text("automatic"),
            postgresql_where=sa.text("automatic"),
        )

    op.create_table(
        "step",
        sa.Column(
            "deployment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("open_runs", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_step_deployment_id")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "position", name=op.f("pk_step")),
    )
    op.create_table(
        "step_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "deployment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("lock_mode", sa.String(length=16), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("outputs", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_step_run_deployment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_run")),
        sa.UniqueConstraint(
            "deployment_id",
            "step",
            "machine",
            "attempt",
            name=op.f("uq_step_run_deployment_id_step_machine_attempt"),
        ),
        sa.UniqueConstraint("ticket", name=op.f("uq_step_run_ticket")),
    )
    with op.batch_alter_table("step_run", schema=None) as batch_op:
        batch_op.create_index(
            "ix_step_run_line",
            ["machine", "ticket"],
            unique=False,
            sqlite_where=sa.text("state in ('waiting', 'running')"),
            postgresql_where=sa.text("state in ('waiting', 'running')"),
        )
        batch_op.create_index(
            "ix_step_run_open",
            ["state"],
            unique=False,
            sqlite_where=sa.text("state in ('waiting', 'running')"),
            postgresql_where=sa.text("state in ('waiting', 'running')"),
        )
        batch_op.create_index(
            "ix_step_run_running",
            ["machine"],
            unique=False,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )

    op.create_table(
        "run_output",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["step_run.id"], name=op.f("fk_run_output_run_id")),
        sa.PrimaryKeyConstraint("run_id", "start", name=op.f("pk_run_output")),
    )
    op.create_table(
        "run_touch",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["step_run.id"], name=op.f("fk_run_touch_run_id")),
        sa.PrimaryKeyConstraint("run_id", "resource", name=op.f("pk_run_touch")),
    )
    with op.batch_alter_table("run_touch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_touch_resource"), ["resource"], unique=False)


def downgrade() -> None:
    """Takes the tables back to the revision before."""
    with op.batch_alter_table("run_touch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_touch_resource"))

    op.drop_table("run_touch")
    op.drop_table("run_output")
    with op.batch_alter_table("step_run", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_step_run_running",
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )
        batch_op.drop_index(
            "ix_step_run_open",
            sqlite_where=sa.text("state in ('waiting', 'running')"),
            postgresql_where=sa.text("state in ('waiting', 'running')"),
        )
        batch_op.drop_index(
            "ix_step_run_line",
            sqlite_where=sa.text("state in ('waiting', 'running')"),
            postgresql_where=sa.text("state in ('waiting', 'running')"),
        )

    op.drop_table("step_run")
    op.drop_table("step")
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_deployment_automatic",
            sqlite_where=sa.text("automatic"),
            postgresql_where=sa.text("automatic"),
        )
        batch_op.drop_index(batch_op.f("ix_deployment_release_id"))
        batch_op.drop_index("ix_deployment_project_environment")
        batch_op.drop_index(
            "ix_deployment_open",
            sqlite_where=sa.text("state in ('queued', 'running')"),
            postgresql_where=sa.text("state in ('queued', 'running')"),
        )
        batch_op.drop_index(
            "ix_deployment_line",
            sqlite_where=sa.text("state in ('queued', 'running')"),
            postgresql_where=sa.text("state in ('queued', 'running')"),
        )

    op.drop_table("deployment")
    with op.batch_alter_table("batch_release", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batch_release_release_id"))

    op.drop_table("batch_release")
    op.drop_table("worker")
    op.drop_table("release")
    op.drop_table("counter")
    op.drop_table("catalog_item")
    op.drop_table("batch")
