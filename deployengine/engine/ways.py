"""The way to a machine as it is today, with the keys that were learned and the secrets it takes."""

from __future__ import annotations

from deployengine.domain.environment import Machine
from deployengine.domain.errors import Unreachable
from deployengine.domain.planning import Unseal
from deployengine.engine.outage import outlast
from deployengine.engine.secret_references import secret_of
from deployengine.persistence import Database, Transaction
from deployengine.steps.errors import MachineUnfit
from deployengine.steps.ssh.way import Place, Way, folders_of, way_to


class Ways:
    """Looks up how machines are reached.

    What a deployment does was frozen with its release. How a machine is reached was not: a machine
    that moved, or got another key, is reached by what the catalog says now. One that the catalog
    does not have any more is reached as it was when the deployment was planned. The folders there
    are those of the plan in any case: in other ones nobody would find a run that has begun.
    """

    def __init__(self, database: Database, unseal: Unseal) -> None:
        self._database = database
        self._unseal = unseal
        self._last: dict[Place, Way] = {}

    def to(self, machine: Machine) -> Way:
        """The way to a machine; raises ``MachineUnfit`` where a secret for it is missing.

        While the database is away it is the last one that was known: a script that runs is followed
        whether the database answers or not. Without one it waits for the database.
        """
        key = folders_of(machine)
        try:
            way = self._look_up(machine)
        except Unreachable:
            if key in self._last:
                return self._last[key]
            way = outlast(lambda: self._look_up(machine), f"the way to {machine.name}")
        self._last[key] = way
        return way

    def _look_up(self, machine: Machine) -> Way:
        with self._database.read() as tx:
            today = tx.catalog.find("machine", [machine.name]).get(machine.name)
            connection = (today or {}).get("connection", machine.connection)
            if connection.get("kind") != "ssh":
                connection = machine.connection
            folders = {k: machine.connection.get(k) for k in ("workdir", "tickets")}
            connection = {
                **{k: v for k, v in connection.items() if k not in folders},
                **{k: v for k, v in folders.items() if v is not None},
            }
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
