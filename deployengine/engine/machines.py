"""Machines: what is known of them, and what people want of them."""

from __future__ import annotations

from collections import Counter
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
from deployengine.engine.carriers import carriers
from deployengine.engine.catching_up import hindrance
from deployengine.engine.handoff import HandOff
from deployengine.engine.ports import Clock
from deployengine.engine.questions import go_on
from deployengine.engine.turns import Turns
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import AbsenceRecord, MachineRecord

_ACTIONS = {
    MachineMode.ENABLED: Action.MACHINE_ENABLE,
    MachineMode.DRAINING: Action.MACHINE_DRAIN,
    MachineMode.DISABLED: Action.MACHINE_DISABLE,
}


@dataclass(frozen=True, slots=True)
class Missed:
    """A deployment that went without a machine, and why the machine does not catch up with it.

    Nothing keeps it from that (``None``) but the machine's own state.
    """

    absence: AbsenceRecord
    hindrance: str | None


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine of the catalog, and what is known of it.

    ``busy`` is how many runs are to come there, wait for it or run, those that it carries out for
    other machines included; ``missed`` is what it has not caught up with.
    """

    machine: Machine
    known: MachineRecord
    busy: int
    missed: Sequence[Missed]


@dataclass(frozen=True, slots=True)
class Change:
    """Whether something else is wanted of a machine than before, and who goes on without it.

    ``needed_by`` are the deployments in which it is to carry something out for other machines.
    """

    machine: str
    changed: bool
    left_out_of: Sequence[int] = ()
    needed_by: Sequence[int] = ()


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
            busy = Counter(tx.lanes.busy())
            busy.update(name for name, _ in carriers(tx, self._archive))
            missed = _missed(tx, [machine.name for machine in machines])
        return [
            MachineView(
                machine,
                known.get(machine.name, MachineRecord(machine.name)),
                busy[machine.name],
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
            if mode is MachineMode.DISABLED:
                change = Change(name, changed, self._leave_out(name), self._needed_by(name))
            else:
                change = Change(name, changed)
            changes.append(change)
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

    def _needed_by(self, machine: str) -> list[int]:
        with self._database.read() as tx:
            return sorted(
                {number for name, number in carriers(tx, self._archive) if name == machine}
            )

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


def _missed(tx: Transaction, machines: Sequence[str]) -> dict[str, list[Missed]]:
    absences = tx.absences.all(machines)
    hindrances = {
        place: hindrance(tx.deployments.some(*place))
        for place in {(absence.project, absence.environment) for absence in absences}
    }
    found: dict[str, list[Missed]] = {}
    for absence in absences:
        why = hindrances[absence.project, absence.environment]
        found.setdefault(absence.machine, []).append(Missed(absence, why))
    return found


def _check(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        check_known("machine", name, known)
