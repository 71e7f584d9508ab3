"""From what a machine says of its own to what a person can do about it."""

from __future__ import annotations

import asyncssh

from deployengine.steps.errors import (
    DamagedOnTheWay,
    DiskFull,
    MachineUnfit,
    MachineUnreachable,
    StepError,
    StillRunning,
    WorkdirUnusable,
)
from deployengine.steps.ssh.channel import Channel

#: What is raised where a connection that there was breaks.
BROKEN = (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)


class ConnectionBroke(MachineUnreachable):
    """It was reached, and the connection broke before anything was asked."""


def no_agent(machine: str, channel: Channel) -> StepError:
    """Why the machine's answer is none of the agent's."""
    said = next((line for line in reversed(channel.said) if line.strip()), "")
    if "sudo" in said:
        return MachineUnfit(
            f"machine {machine}: {said}; let the user who logs in become the other one without a "
            "password (NOPASSWD in sudoers), or leave out become"
        )
    if not channel.whole:
        return ConnectionBroke(
            f"machine {machine}: the connection broke before it answered; see to the network"
        )
    return MachineUnfit(
        f"machine {machine}: its login runs no /bin/sh ({said or f'status {channel.status}'}); "
        "let the user have a shell, and nothing in its start-up files that ends it"
    )


def raise_fault(machine: str, channel: Channel, what: str) -> None:
    """Raises what the agent's fault stands for, if it told one."""
    fault = channel.words("fault")
    if fault is None:
        return
    kind, _, text = fault.partition(" ")
    where = f"machine {machine}: {what}: " if what else f"machine {machine}: "
    if kind == "full":
        raise DiskFull(f"{where}{text}: no room; make some on that disk")
    if kind == "folder":
        raise WorkdirUnusable(
            f"{where}{text}; make it a folder that the user may write there, or name another in "
            "the catalog (workdir, tickets)"
        )
    if kind == "survived":
        raise StillRunning(
            f"{where}process {text} survived KILL; end it by hand, then cancel again"
        )
    if kind == "digest":
        raise DamagedOnTheWay(
            f"{where}what came there has the checksum {text or 'of nothing'}; it was thrown away: "
            "send it again"
        )
    raise MachineUnfit(f"{where}{text or kind}")


def died(machine: str, channel: Channel, what: str) -> MachineUnfit:
    """The agent ended before it had done what it was asked for."""
    said = next((line for line in reversed(channel.said) if line.strip()), "")
    why = said or f"status {channel.status}"
    return MachineUnfit(
        f"machine {machine}: {what} was not carried out there ({why}); see to its disk and its "
        "shell, then try again"
    )
