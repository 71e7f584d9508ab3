"""The tables of this program: whether a database has them."""

from __future__ import annotations

from sqlalchemy import inspect, text

from deployengine.persistence.database import Database

#: The revision of the tables that this program needs: that of the newest migration.
NEWEST = "0004"

_REVISION = text("SELECT version_num FROM alembic_version")


def prepare(database: Database) -> None:
    """Makes sure that the tables are those of this program.

    The embedded database is migrated, and an empty shared one is filled. A shared one that is in
    use is never migrated unasked: raises ``OutOfDate``, or ``Unreachable``.
    """
    with database.connected() as connection:
        versioned = inspect(connection).has_table("alembic_version")
        if versioned and connection.execute(_REVISION).scalar() == NEWEST:
            return
    # Here, since what migrates takes longer to load than most commands take.
    from deployengine.persistence.migrate import bring_up_to_date

    bring_up_to_date(database)
