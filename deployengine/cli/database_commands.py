"""``database``: the tables of a shared database."""

from __future__ import annotations

import click

from deployengine.cli.session import Session, command
from deployengine.persistence.migrate import newest, upgrade
from deployengine.services import Services


@click.group()
def database() -> None:
    """Look after the database's tables."""


@database.command("upgrade", epilog="Example:  deployengine database upgrade")
@command
def upgrade_tables(session: Session) -> None:
    """Bring the tables to this program's version; the embedded database does it by itself."""
    with Services(session.settings) as services:
        upgrade(services.database)
    session.answer(
        {"revision": newest()}, lambda out: out.print(f"the tables are at revision {newest()}")
    )
