"""Applying a catalog: the difference is shown, then all of it becomes true or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployengine import catalog as catalogs
from deployengine.domain.audit import Action
from deployengine.engine.audit import ENGINE, record
from deployengine.engine.ports import Clock
from deployengine.persistence import Database

if TYPE_CHECKING:
    from deployengine.catalog import Catalog, Difference


class Catalogs:
    """The applied catalog as a whole."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def difference(self, catalog: Catalog) -> Difference:
        """What applying would change; changes nothing."""
        with self._database.read() as tx:
            return catalogs.difference(tx.catalog.all(), catalog)

    def apply(self, catalog: Catalog, who: str = ENGINE) -> Difference:
        """Makes the catalog what there is, and says what changed by it.

        What the catalog no longer names is no longer there for new releases; releases and
        deployments that exist keep what they froze. What was known of a machine goes with it.
        """
        with self._database.write("apply") as tx:
            found = catalogs.difference(tx.catalog.all(), catalog)
            if not found.is_empty:
                tx.catalog.replace((i.kind, i.name, i.document) for i in catalog.items)
                machines = tx.catalog.names("machine")
                tx.machines.keep(machines)
                tx.absences.keep(machines)
                now, after = self._clock.now(), found.to_document()
                record(tx, now, who, Action.CATALOG_APPLY, "catalog", after=after)
        return found
