"""The health of machines, the host keys that are trusted, and who went without which machine."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_DOCUMENT = sa.JSON(none_as_null=True)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Runs that wait for a machine to come back.
_AWAITS = sa.text("awaits_machine is not null and state = 'pending'")


def upgrade() -> None:
    """Brings the tables to this revision."""
    op.create_table(
        "machine_state",
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, server_default="unknown"),
        sa.Column("since", _INSTANT, nullable=True),
        sa.Column("checked_at", _INSTANT, nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("facts", _DOCUMENT, nullable=True),
        sa.Column("due_at", _INSTANT, nullable=True),
        sa.Column("mode", sa.String(length=16), nullable=False, server_default="enabled"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_by", sa.String(length=255), nullable=True),
        sa.Column("changed_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("machine", name=op.f("pk_machine_state")),
    )
    op.create_table(
        "trusted_key",
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("algorithm", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("trusted_at", _INSTANT, nullable=False),
        sa.Column("trusted_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("machine", "fingerprint", name=op.f("pk_trusted_key")),
    )
    op.create_table(
        "absence",
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("deployment_id", _NUMBER, nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_absence_deployment_id")
        ),
        sa.PrimaryKeyConstraint("machine", "deployment_id", name=op.f("pk_absence")),
    )
    op.create_index("ix_absence_deployment_id", "absence", ["deployment_id"])
    op.add_column(
        "step_run",
        sa.Column("seen_anywhere", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("step_run", sa.Column("awaits_machine", sa.String(length=255), nullable=True))
    op.create_index(
        "ix_step_run_awaits",
        "step_run",
        ["state"],
        sqlite_where=_AWAITS,
        postgresql_where=_AWAITS,
    )


def downgrade() -> None:
    """Takes the tables back to the revision before.

    What waits for a machine that is out of reach waits for ever then: cancel it.
    """
    op.drop_index("ix_step_run_awaits", table_name="step_run")
    op.drop_column("step_run", "awaits_machine")
    op.drop_column("step_run", "seen_anywhere")
    for table in ("absence", "trusted_key", "machine_state"):
        op.drop_table(table)
