"""The way to a machine as it is today, with the keys that were learned and the secrets it takes."""

from __future__ import annotations

from deployengine.domain.environment import Machine
from deployengine.domain.planning import Unseal
from deployengine.engine.secret_references import secret_of
from deployengine.persistence import Database, Transaction
from deployengine.steps.errors import MachineUnfit
from deployengine.steps.ssh.way import Way, way_to


class Ways:
    """Looks up how machines are reached.

    What a deployment does was frozen with its release. How a machine is reached was not: a machine
    that moved, or got another key, is reached by what the catalog says now. One that the catalog
    does not have any more is reached as it was when the deployment was planned.
    """

    def __init__(self, database: Database, unseal: Unseal) -> None:
        self._database = database
        self._unseal = unseal

    def to(self, machine: Machine) -> Way:
        """The way to a machine; raises ``MachineUnfit`` where a secret for it is missing."""
        with self._database.read() as tx:
            today = tx.catalog.find("machine", [machine.name]).get(machine.name)
            connection = (today or {}).get("connection", machine.connection)
            if connection.get("kind") != "ssh":
                connection = machine.connection
            learned = [each.public_key for each in tx.trusted_keys.of(machine.name)]

            def secret(variable_set: str, variable: str) -> str:
                return self._secret(tx, machine.name, variable_set, variable)

            return way_to(machine.name, connection, learned, secret)

    def _secret(self, tx: Transaction, machine: str, variable_set: str, variable: str) -> str:
        found = secret_of(tx, self._unseal, variable_set, variable)
        if found is not None:
            return found
        raise MachineUnfit(
            f"machine {machine}: variable {variable!r} of set {variable_set!r}, which is needed to "
            "reach it, has no value that applies everywhere; give it one in the catalog"
        )
