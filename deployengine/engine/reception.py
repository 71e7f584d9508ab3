"""Reception: whether a run may begin on its machine, as far as anything is known of that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deployengine.domain.availability import (
    Health,
    MachineMode,
    Policy,
    Reception,
    policy_of,
    reception,
    refusal,
)
from deployengine.persistence import Transaction
from deployengine.persistence.records import MachineRecord


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a run does not begin, and what happens to it instead.

    ``machine`` is the one that cannot be used, ``absent`` in one word why, ``said`` for people.
    """

    machine: str
    then: Reception
    absent: str
    said: str


def obstacle(tx: Transaction, project: str, machine: str, *, own: bool) -> Obstacle | None:
    """What is known to keep a run of a project from its machine; ``None``: nothing.

    ``own``: the run is for that machine, which does not carry it out for another one.
    """
    known = tx.machines.get(machine)
    if known.mode is not MachineMode.DISABLED and known.state is not Health.UNAVAILABLE:
        return None
    then = reception(known.state, known.mode, _policy(tx, project), own=own)
    if then is Reception.BEGIN:
        return None
    if known.mode is MachineMode.DISABLED:
        return Obstacle(machine, then, known.mode, is_not_enabled(known))
    return Obstacle(machine, then, known.state, unavailable(machine, known.message or ""))


def met(tx: Transaction, project: str, machine: str, why: str, *, own: bool) -> Obstacle:
    """The same for a run whose machine could not be used when it was about to begin."""
    then = refusal(_policy(tx, project), own=own)
    return Obstacle(machine, then, Health.UNAVAILABLE, unavailable(machine, why))


def unavailable(machine: str, why: str) -> str:
    """That a machine cannot be used, and why, with its name."""
    named = re.search(rf"(?<![\w-]){re.escape(machine)}(?![\w-])", why)
    return why if named else f"{machine} is unavailable: {why}"


def is_not_enabled(known: MachineRecord) -> str:
    """That people do not want a machine to be used, who, and why."""
    by = f" by {known.changed_by}" if known.changed_by else ""
    reason = f" ({known.reason})" if known.reason else ""
    what = "is being drained" if known.mode is MachineMode.DRAINING else "was disabled"
    return f"{known.machine} {what}{by}{reason}"


def _policy(tx: Transaction, project: str) -> Policy:
    return policy_of(tx.catalog.find("project", [project]).get(project, {}))
