"""Faults on a machine: a disk that is full, a script's wrapper that is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import psutil

from battery.faults.fault import NotNow, NotPossible, Stage
from battery.scenario import AWAY, SMALL_DISK, SMALL_TICKETS, put

RUNNING = """
select r.id from step_run r join deployment d on d.id = r.deployment_id
where r.state = 'running' and d.project = '{}'
"""
_FOLDER = re.compile(r"/tickets/([^/]+)/(run-\d+)")


@dataclass
class DiskFull:
    """The small disk under a machine's work folder has no room left."""

    kind: ClassVar[str] = "disk full under a work folder"
    lawful: ClassVar[bool] = False
    seconds: float
    machine: ClassVar[str] = SMALL_DISK
    folder: ClassVar[str] = f"work/{SMALL_DISK}"

    @property
    def touches(self) -> frozenset[str]:
        return frozenset({self.machine})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(round(dice.uniform(0.5, 2.0), 2))

    def inject(self, stage: Stage) -> str:
        folder = stage.house.home / self.folder
        if not folder.is_mount():
            raise NotPossible("no file system may be mounted here")
        deadline = time.monotonic() + 1.0
        while takes_a_file(folder):
            if time.monotonic() > deadline:
                (folder / "filler").unlink()
                raise NotNow
            _fill(folder / "filler")
        return self.machine

    def lift(self, stage: Stage) -> bool:
        (stage.house.home / self.folder / "filler").unlink(missing_ok=True)
        return True


class TicketsFull(DiskFull):
    """The small disk under a machine's tickets has no room left."""

    kind: ClassVar[str] = "disk full under tickets"
    machine: ClassVar[str] = SMALL_TICKETS
    folder: ClassVar[str] = f"tickets/{SMALL_TICKETS}"


@dataclass
class MachineAway:
    """A machine's work folder cannot be used, as there is none; what runs there runs on."""

    kind: ClassVar[str] = "machine out of use"
    lawful: ClassVar[bool] = False
    seconds: float
    #: Only when this project is about to come to its environment; none: at any time.
    before: str | None = None
    touches: ClassVar[frozenset[str]] = frozenset({AWAY})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(round(dice.uniform(0.5, 3.0), 2))

    def inject(self, stage: Stage) -> str:
        if self.before is not None and not stage.work.comes(self.before):
            raise NotNow
        put(stage.house.home, "gone")
        return AWAY

    def lift(self, stage: Stage) -> bool:
        put(stage.house.home, "there")
        return True


#: Those that want a disk of their own, which may be mounted by some only.
DISKS = (DiskFull, TicketsFull)


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def takes_a_file(folder: Path) -> bool:
    """Whether a new file can be written there, with something in it."""
    try:
        with (folder / "probe").open("wb", buffering=0) as file:
            return file.write(b"x") == 1
    except OSError:
        return False
    finally:
        (folder / "probe").unlink(missing_ok=True)


@dataclass
class WrapperFault:
    """The wrapper of a running script dies, and nobody knows how the script will have ended."""

    kind: ClassVar[str] = "wrapper"
    lawful: ClassVar[bool] = False
    dice: random.Random
    #: Of this project if one of its scripts runs; what follows an unknown end is its policy.
    project: str
    strictly: bool = False
    seconds: float = 0.0
    touches: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(random.Random(dice.random()), dice.choice(("ask", "rerun", "long-1")))

    def inject(self, stage: Stage) -> str:
        machine, ticket, wrapper = _chosen(stage, self.dice, self.project, strictly=self.strictly)
        try:
            self.kill(stage.house.home / "machines" / machine / "journal", ticket, wrapper)
        except (ProcessLookupError, psutil.NoSuchProcess):
            raise NotNow from None
        return ticket

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        return True

    def kill(self, journal: Path, ticket: str, wrapper: psutil.Process) -> None:
        """Does it to this one; the journal is that of the script's machine."""
        raise NotImplementedError


class WrapperAndScriptKilled(WrapperFault):
    """Its script dies with it.

    The battery stops the group first and writes the script's last word for it, so that no later
    script can be in its journal before that.
    """

    kind: ClassVar[str] = "wrapper and script killed"

    def kill(self, journal: Path, ticket: str, wrapper: psutil.Process) -> None:
        os.killpg(wrapper.pid, signal.SIGSTOP)
        lines = journal.read_text().splitlines() if journal.exists() else []
        begun = [line for line in lines if line.startswith(f"begin {ticket} ")]
        ended = [line for line in lines if re.match(rf"(end|stopped|killed) {ticket} ", line)]
        if not begun or ended:
            os.killpg(wrapper.pid, signal.SIGCONT)
            raise NotNow
        with journal.open("a") as file:
            file.write(begun[0].replace("begin", "killed", 1) + "\n")
        (journal.parent / "stamps" / f"{ticket}.end").touch()
        os.killpg(wrapper.pid, signal.SIGKILL)


class WrapperKilled(WrapperFault):
    """It dies alone; the script goes on, and its end will be recorded by nobody."""

    kind: ClassVar[str] = "wrapper killed"

    def kill(self, journal: Path, ticket: str, wrapper: psutil.Process) -> None:  # noqa: ARG002
        wrapper.kill()


def _chosen(
    stage: Stage, dice: random.Random, project: str, *, strictly: bool
) -> tuple[str, str, psutil.Process]:
    """A wrapper whose script runs, of that project if there is one; NotNow if none runs at all."""
    of_project = {f"run-{row[0]}" for row in stage.house.database.rows(RUNNING.format(project))}
    if strictly and not of_project:
        raise NotNow
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        found = sorted(_wrappers(stage.house.home), key=lambda each: each[1])
        wanted = [each for each in found if each[1] in of_project]
        if wanted or (found and not strictly):
            return dice.choice(wanted or found)
        time.sleep(0.02)
    raise NotNow


def _wrappers(home: Path) -> Iterator[tuple[str, str, psutil.Process]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if not any(word.endswith("wrapper.sh") for word in words[:4]):
                continue
            place = _FOLDER.search(" ".join(words))
            ours = str(home) in " ".join(words) and process.children()
            if place and ours and process.status() != psutil.STATUS_STOPPED:
                yield place[1], place[2], process


FAULTS: tuple[type, ...] = (
    *(DiskFull, TicketsFull, MachineAway),
    *(WrapperAndScriptKilled, WrapperKilled),
)
