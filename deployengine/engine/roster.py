"""Roster: the machines of today's catalog, and which of them take part in what begins now."""

from __future__ import annotations

from collections.abc import Sequence

from deployengine.domain.availability import MachineMode
from deployengine.domain.environment import Machine, machines_in
from deployengine.domain.errors import RequestError, check_known
from deployengine.domain.plan import Plan
from deployengine.domain.project import StepKind
from deployengine.domain.release import Snapshot
from deployengine.domain.selection import Selection
from deployengine.engine.reception import is_not_enabled
from deployengine.persistence import Transaction


class NotEnabled(RequestError):
    """A machine that somebody wants to deploy to is disabled, or is being drained."""


class Roster:
    """Read once in a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        #: The machines of all environments.
        self.machines = tuple(Machine.from_document(d) for d in tx.catalog.documents("machine"))
        self._not_enabled = tx.machines.not_enabled()

    def enabled_in(self, environment: str) -> list[Machine]:
        """The machines of an environment that nobody has disabled or is draining."""
        return [m for m in self._there(environment) if m.name not in self._not_enabled]

    def check(self, environment: str, selection: Selection) -> None:
        """Raises ``UnknownName`` for machines that are not there, and :class:`NotEnabled`."""
        names = [machine.name for machine in self._there(environment)]
        for name in (*selection.machines, *selection.exclude):
            check_known(f"machine of {environment}", name, names)
        for name in selection.machines:
            if name in self._not_enabled:
                raise NotEnabled(
                    is_not_enabled(self._tx.machines.get(name)),
                    None,
                    f"leave it out, or: deployengine machine enable {name}",
                )

    def check_carriers(self, plan: Plan) -> None:
        """Raises :class:`NotEnabled` where one of these is to carry something out for others."""
        carried = (
            (planned.name, run.runs_on.name)
            for planned in plan.steps
            if not planned.left_out
            for run in planned.runs
            if run.runs_on is not None
        )
        for step, name in carried:
            if name in self._not_enabled:
                said = is_not_enabled(self._tx.machines.get(name))
                raise NotEnabled(
                    f"{said}, and is to carry out {step} for other machines",
                    None,
                    f"deployengine machine enable {name}",
                )

    def without(
        self, snapshot: Snapshot, environment: str, selection: Selection
    ) -> dict[str, MachineMode]:
        """The machines that would take part in a deployment, were they enabled."""
        steps = [
            step
            for step in snapshot.process
            if step.kind is not StepKind.MANUAL and not selection.skips(step)
            if not step.left_out(environment, snapshot.channel)
        ]
        return {
            machine.name: self._not_enabled[machine.name]
            for machine in self._there(environment)
            if machine.name in self._not_enabled and selection.takes(machine.name)
            if any(machine.bears_one_of(step.roles) for step in steps)
        }

    def _there(self, environment: str) -> Sequence[Machine]:
        return machines_in(self.machines, environment)
