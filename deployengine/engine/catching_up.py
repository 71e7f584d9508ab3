"""Catching up: a machine that deployments went without gets what is there by now.

It was disabled, was being drained, or could not be used; now it is enabled and healthy. For each
project and environment in which it was left out the release that is current there is deployed to
it, once, unless it has it already. That waits until nothing of the project is under way there: what
comes meanwhile may bring it along. So an older release never goes over a newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from deployengine.domain.audit import Action
from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError
from deployengine.domain.identity import deployment_id
from deployengine.domain.planning import Unseal
from deployengine.domain.selection import Selection
from deployengine.engine.archive import Archive
from deployengine.engine.audit import ENGINE
from deployengine.engine.carried_out import carried_out, left_of
from deployengine.engine.deployments import Asked, Deployments, find_release
from deployengine.engine.freezes import Frozen
from deployengine.engine.history import begun, current
from deployengine.engine.intake import Intake, NoMachines, Terms
from deployengine.engine.ports import Clock
from deployengine.engine.requests import deployment_label
from deployengine.engine.roster import Roster
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import CATCH_UP_FAILED, AbsenceRecord, DeploymentRecord

log = logging.getLogger("deployengine.health")


@dataclass(frozen=True, slots=True)
class _Missed:
    """Machines that are back, and the deployments of one project and environment without them."""

    project: str
    environment: str
    machines: Sequence[str]
    deployments: Sequence[int]


class CatchingUp:
    """Asks for what machines have missed."""

    def __init__(
        self,
        database: Database,
        deployments: Deployments,
        archive: Archive,
        clock: Clock,
        unseal: Unseal,
    ) -> None:
        self._database = database
        self._deployments = deployments
        self._archive = archive
        self._clock = clock
        self._unseal = unseal
        #: What keeps a machine from catching up is told once.
        self._told: set[tuple[str, str, str]] = set()

    def look(self) -> list[DeploymentRecord]:
        """Asks for all that machines can catch up with now; raises ``Unreachable``."""
        with self._database.read() as tx:
            due = [each for each in _missed(tx) if _at_rest(tx, each) is not None]
        return [found for each in due if (found := self._catch_up(each)) is not None]

    def _catch_up(self, missed: _Missed) -> DeploymentRecord | None:
        try:
            with self._database.write("catch-up") as tx:
                asked = self._ask(tx, missed)
        except Frozen:
            return None  # until the freeze is over
        except RequestError as error:
            told = (missed.project, missed.environment, str(error))
            if told not in self._told:
                self._told.add(told)
                names = ", ".join(missed.machines)
                log.warning("%s cannot catch up with %s: %s", names, missed.project, error)
            return None
        if asked is None:
            return None
        names = ", ".join(asked.deployment.selection.machines)
        log.info(
            "%s: %s is queued, which it went without", names, deployment_label(asked.deployment)
        )
        self._deployments.tell(asked)
        return asked.deployment

    def _ask(self, tx: Transaction, missed: _Missed) -> Asked | None:
        there = _at_rest(tx, missed)
        if there is None:
            return None
        latest = current(there)
        assert latest is not None
        away = tx.machines.not_enabled()
        # Whoever forgets the absence is the one who asks.
        machines = [
            name
            for name in missed.machines
            if name not in away and tx.absences.drop(name, missed.deployments)
        ]
        if not (terms := self._behind(tx, latest, there, machines)):
            return None
        place = (latest.project, latest.version, latest.environment)
        because = {"went_without": [deployment_id(number) for number in missed.deployments]}
        action = Action.MACHINE_CATCH_UP
        return self._deployments.ask(tx, *place, terms, action, because, holds=False)

    def _behind(
        self,
        tx: Transaction,
        latest: DeploymentRecord,
        there: Sequence[DeploymentRecord],
        machines: Sequence[str],
    ) -> Terms | None:
        """How to deploy what is there to those of the machines that have not had all of it."""
        here = {machine.name for machine in Roster(tx).enabled_in(latest.environment)}
        chosen = tuple(name for name in machines if name in here)
        if not chosen:
            return None
        release = find_release(tx, latest.project, latest.version)
        snapshot = self._archive.snapshot(tx, release.snapshot_id)
        intake = Intake(tx, self._clock, self._unseal)
        terms = Terms(
            selection=Selection(skip=latest.selection.skip, machines=chosen),
            requested_by=ENGINE,
            values=intake.still_asked(snapshot, latest),
            catches_up=True,
        )
        try:
            planned = intake.plan(snapshot, latest.environment, terms)
        except NoMachines:
            return None
        behind = [
            name
            for name in chosen
            if any(
                machine == name
                for _, machine in left_of(
                    planned,
                    snapshot.process,
                    carried_out(tx, self._archive, _since_another(tx, name, latest, there)),
                )
            )
        ]
        selection = replace(terms.selection, machines=tuple(behind))
        return replace(terms, selection=selection) if behind else None


def _missed(tx: Transaction) -> Iterable[_Missed]:
    """What has been missed by machines that are back, as far as it has ended without them."""
    back = {
        name: each.checked_at
        for name, each in tx.machines.all().items()
        if each.mode is MachineMode.ENABLED and each.state is Health.HEALTHY
    }
    groups: dict[tuple[str, str], list[AbsenceRecord]] = {}
    for absence in tx.absences.all(back):
        if absence.state.final and not _failed_since(absence, back[absence.machine]):
            groups.setdefault((absence.project, absence.environment), []).append(absence)
    for place, group in sorted(groups.items()):
        machines = sorted({absence.machine for absence in group})
        yield _Missed(*place, machines, sorted({absence.deployment_id for absence in group}))


def _failed_since(absence: AbsenceRecord, checked_at: datetime | None) -> bool:
    """Whether it has failed to catch up since somebody looked at it: after a look it tries again.

    However often somebody looks, it tries once: what failed is an absence of its own.
    """
    return absence.why == CATCH_UP_FAILED and (checked_at is None or checked_at <= absence.at)


def _at_rest(tx: Transaction, missed: _Missed) -> list[DeploymentRecord] | None:
    """All that there was of the project there; ``None`` while nothing is to be asked for."""
    there = tx.deployments.some(missed.project, missed.environment)
    return there if hindrance(there) is None else None


def hindrance(there: Sequence[DeploymentRecord]) -> str | None:
    """Why machines do not catch up with a project, by all its deployments to an environment.

    What is under way may bring them along; and it must be known what is there.
    """
    busy = next((each for each in there if _is_under_way(each)), None)
    if busy is not None:
        return f"{deployment_id(busy.id)} is under way there"
    latest = current(there)
    if latest is None:
        return "no release has come there yet"
    if latest.state is not DeploymentState.SUCCEEDED:
        return f"{deployment_id(latest.id)}, the last one there, {_came_to(latest)}"
    return None


def _came_to(deployment: DeploymentRecord) -> str:
    cancelled = deployment.state is DeploymentState.CANCELLED
    return f"{'was cancelled' if cancelled else 'failed'}: first a deployment must succeed"


def _is_under_way(deployment: DeploymentRecord) -> bool:
    """Not one that waits for a time or the end of a freeze: it comes later in any case."""
    queued = deployment.state is DeploymentState.QUEUED and deployment.ticket is None
    return not deployment.state.final and not queued


def _since_another(
    tx: Transaction, machine: str, latest: DeploymentRecord, there: Sequence[DeploymentRecord]
) -> list[DeploymentRecord]:
    """The release's deployments since another release came to the machine, the oldest first."""
    found: list[DeploymentRecord] = []
    for each in reversed(begun(there)):
        if each.release_id == latest.release_id:
            found.insert(0, each)
        elif any(r.machine == machine and r.started_at for r in tx.runs.of_deployment(each.id)):
            break
    return found
