"""Availability: whether a machine takes part, and what becomes of what was meant for it."""

from __future__ import annotations

from enum import StrEnum


class Health(StrEnum):
    """How a machine was found when somebody last looked, or wanted to begin something there."""

    #: Nobody has looked yet.
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    #: It could not be reached, or lacks what a script needs.
    UNAVAILABLE = "unavailable"


class MachineMode(StrEnum):
    """What people want of a machine."""

    ENABLED = "enabled"
    #: What has been planned there is finished; nothing new comes.
    DRAINING = "draining"
    #: Nothing begins there any more.
    DISABLED = "disabled"


class Policy(StrEnum):
    """What a project wants done about a machine that is unavailable."""

    FAIL = "fail"
    SKIP = "skip"
    WAIT = "wait"


class Reception(StrEnum):
    """What happens to a run that is about to begin."""

    BEGIN = "begin"
    #: Its machine is left out of the deployment, and catches up later.
    LEAVE_OUT = "leave out"
    #: It waits, holding nothing, until its machine is back.
    WAIT = "wait"


_WHERE_UNAVAILABLE = {
    # It is tried: the machine may be back, and else says why it is not.
    Policy.FAIL: Reception.BEGIN,
    Policy.SKIP: Reception.LEAVE_OUT,
    Policy.WAIT: Reception.WAIT,
}


def reception(health: Health, mode: MachineMode, policy: Policy) -> Reception:
    """What happens to a run whose machine is known to be in this state."""
    if mode is MachineMode.DISABLED:
        return Reception.LEAVE_OUT
    if health is Health.UNAVAILABLE:
        return _WHERE_UNAVAILABLE[policy]
    return Reception.BEGIN
