"""Machines: what is known of them, and what people want of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployengine.domain.audit import Action
from deployengine.domain.availability import MachineMode
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.environment import Machine, machines_in
from deployengine.domain.errors import check_known
from deployengine.domain.identity import deployment_id
from deployengine.domain.planning import Unseal
from deployengine.engine.archive import Archive
from deployengine.engine.audit import ENGINE, machine_subject, record
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.questions import go_on
from deployengine.engine.turns import Turns
from deployengine.persistence import Database
from deployengine.persistence.records import AbsenceRecord, MachineRecord

_ACTIONS = {
    MachineMode.ENABLED: Action.MACHINE_ENABLE,
    MachineMode.DRAINING: Action.MACHINE_DRAIN,
    MachineMode.DISABLED: Action.MACHINE_DISABLE,
}


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine of the catalog, and what is known of it.

    ``busy`` is how many runs are to come there, wait for it or run; ``missed`` are the deployments
    that went without it, and that it has not caught up with.
    """

    machine: Machine
    known: MachineRecord
    busy: int
    missed: Sequence[AbsenceRecord]


@dataclass(frozen=True, slots=True)
class Change:
    """Whether something else is wanted of a machine than before, and who goes on without it."""

    machine: str
    changed: bool
    left_out_of: Sequence[int] = ()


class Machines:
    """Looks machines up, and takes them out of use and back in."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._archive = archive
        self._clock = clock
        self._unseal = unseal

    def all(
        self, names: Sequence[str] | None = None, environment: str | None = None
    ) -> list[MachineView]:
        """Those of the catalog, or some of them, in its order; raises ``UnknownName``."""
        with self._database.read() as tx:
            machines = [Machine.from_document(d) for d in tx.catalog.documents("machine")]
            if names is not None:
                _check(names, [machine.name for machine in machines])
                machines = [machine for machine in machines if machine.name in names]
            if environment is not None:
                tx.catalog.check("environment", environment)
                machines = list(machines_in(machines, environment))
            known = tx.machines.all()
            busy = tx.lanes.busy()
            missed: dict[str, list[AbsenceRecord]] = {}
            for absence in tx.absences.all([machine.name for machine in machines]):
                missed.setdefault(absence.machine, []).append(absence)
        return [
            MachineView(
                machine,
                known.get(machine.name, MachineRecord(machine.name)),
                busy.get(machine.name, 0),
                missed.get(machine.name, ()),
            )
            for machine in machines
        ]

    def set_mode(
        self, names: Sequence[str], mode: MachineMode, reason: str | None, who: str = ENGINE
    ) -> list[Change]:
        """Wants this of some machines; what that changes.

        Nothing begins any more on one that is disabled: what was to come there is left out of the
        deployments that exist. Raises ``UnknownName``, and then changes nothing.
        """
        with self._database.read() as tx:
            _check(names, tx.catalog.names("machine"))
        changes = []
        for name in dict.fromkeys(names):
            changed = self._set_mode(name, mode, reason, who)
            disabled = mode is MachineMode.DISABLED
            changes.append(Change(name, changed, self._leave_out(name) if disabled else ()))
        return changes

    def _set_mode(self, name: str, mode: MachineMode, reason: str | None, who: str) -> bool:
        with self._database.write("machine") as tx:
            before = tx.machines.get(name)
            if before.mode is mode:
                return False
            now = self._clock.now()
            tx.machines.set_mode(name, mode, reason, who, now)
            record(
                tx,
                now,
                who,
                _ACTIONS[mode],
                machine_subject(name),
                reason=reason,
                before={"mode": before.mode},
                after={"mode": mode},
            )
            return True

    def _leave_out(self, machine: str) -> list[int]:
        """Leaves a machine out of all that is still to come there; out of which deployments.

        One that comes meanwhile is told when it wants to begin something there.
        """
        with self._database.read() as tx:
            numbers = tx.lanes.planned_on(machine)
        return [number for number in numbers if self._leave_out_of(number, machine)]

    def _leave_out_of(self, number: int, machine: str) -> bool:
        with self._database.write("machine") as tx:
            deployment = tx.deployments.locked(number)
            if deployment is None or deployment.state.final or deployment.cancel_requested_at:
                return False
            now = self._clock.now()
            plan = self._archive.plan(tx, number)
            snapshot = self._archive.snapshot(tx, deployment.snapshot_id)
            moved = Turns(tx, deployment, plan, snapshot, self._unseal, now).without(machine)
            tx.absences.add(machine, number, MachineMode.DISABLED, now)
            if deployment.state is DeploymentState.PAUSED:
                moved.lining_up = go_on(tx, deployment)
        with self._handoff.or_later(f"leaving {machine} out of {deployment_id(number)}"):
            self._handoff.follow(deployment, plan, moved)
        return True


def _check(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        check_known("machine", name, known)
