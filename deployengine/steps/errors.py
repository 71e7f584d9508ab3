"""What can go wrong at the door to a machine. Each message says what, where, and what to do."""

from __future__ import annotations

from deployengine.domain.errors import DeployEngineError


class StepError(DeployEngineError):
    """A run could not be started, followed or ended. (A script that fails is no error.)"""


class WorkRefused(StepError):
    """The work itself is malformed (its name, or a value that no process can be given)."""


class MachineUnfit(StepError):
    """The machine lacks what a ticket needs."""


class WorkdirUnusable(MachineUnfit):
    """The work folder is missing and can't be made, or can't be written."""


class DiskFull(MachineUnfit):
    """There is no room for the ticket on the machine's disk."""


class CannotStart(StepError):
    """The machine refused to start the process; the script has not begun."""


class StaleFence(StepError):
    """The machine has seen a newer fence, or this one was revoked; nothing was started."""


class StillRunning(StepError):
    """Processes of the ticket are alive where none may be."""


class MachineUnreachable(StepError):
    """The machine could not be reached or refused the login; nothing was begun there."""


class InDoubt(StepError):
    """The machine went out of reach while a script was about to begin there, or ran."""


class DamagedOnTheWay(StepError):
    """A package came to a machine with another checksum than it left with."""
