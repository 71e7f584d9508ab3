"""Availability: whether a machine takes part, and what becomes of what was meant for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


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
    FAIL = "fail"
    #: Its machine is left out of the deployment, and catches up later.
    LEAVE_OUT = "leave out"
    #: It waits, holding nothing, until its machine is back.
    WAIT = "wait"


def reception(health: Health, mode: MachineMode, policy: Policy, *, own: bool) -> Reception:
    """What happens to a run whose machine is known to be in this state.

    ``own``: it is for that machine, which does not carry it out for another one. To be tried is
    all that a run can do whose project wants it to fail: the machine may be back by now.
    """
    if mode is MachineMode.DISABLED:
        return Reception.LEAVE_OUT if own else Reception.FAIL
    if health is Health.UNAVAILABLE and policy is not Policy.FAIL:
        return refusal(policy, own=own)
    return Reception.BEGIN


def refusal(policy: Policy, *, own: bool) -> Reception:
    """What happens to a run whose machine could not be used when it was to begin.

    That another machine could not carry it out is no reason to leave out the one that it is for,
    which would have nothing to come back from.
    """
    if policy is Policy.WAIT:
        return Reception.WAIT
    return Reception.LEAVE_OUT if policy is Policy.SKIP and own else Reception.FAIL


def policy_of(project: Mapping[str, Any]) -> Policy:
    """What a project wants, by its stored document, or an empty one where it is no more."""
    return Policy(project.get("unavailable_machines", "fail"))
