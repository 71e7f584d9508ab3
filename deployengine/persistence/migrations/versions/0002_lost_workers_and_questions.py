"""Workers that are lost, and runs that ask a person how they ended."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LINES = {"ix_deployment_open": ["state"], "ix_deployment_line": ["tag", "ticket"]}


def upgrade() -> None:
    """Brings the tables to this revision."""
    op.add_column("worker", sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("worker", sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("worker", sa.Column("place", sa.String(length=255), nullable=True))
    op.add_column("step_run", sa.Column("revoked", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("step_run", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("step_run", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
    _lines("state in ('queued', 'running', 'paused')")
    # Machines remember the fences of databases that were deleted: a new one begins above them.
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    above = sa.update(counter).where(counter.c.name == "fence")
    op.execute(above.values(value=counter.c.value + int(time.time())))


def downgrade() -> None:
    """Takes the tables back to the revision before."""
    _lines("state in ('queued', 'running')")
    op.drop_column("step_run", "answered_at")
    op.drop_column("step_run", "asked_at")
    op.drop_column("step_run", "revoked")
    op.drop_column("worker", "place")
    op.drop_column("worker", "lost_at")
    op.drop_column("worker", "beat")


def _lines(condition: str) -> None:
    """The lines of open deployments; since this revision a paused one keeps its place."""
    for name, columns in _LINES.items():
        op.drop_index(name, table_name="deployment")
        op.create_index(
            name,
            "deployment",
            columns,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
