"""The house under test: two workers, two housekeeping processes, a Redis, a database.

It keeps itself alive: whoever dies is started again. What dies without anybody's doing is noted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path

import psutil

from battery import scenario
from battery.armoury import of_wrapper
from battery.command import Command
from battery.database import Database, postgres, sqlite
from battery.ledger import Injected, Ledger
from battery.nursery import ROOT, Nursery
from battery.process import Process
from battery.redis_server import RedisServer
from battery.ssh_machine import SshMachine
from benchmarks.system import Broken
from deployengine.settings import Settings
from tests.support.postgres import PostgresServer

WORKERS = ("worker-1", "worker-2")
HOUSEKEEPING = ("housekeeping-1", "housekeeping-2")
TASK_CAP = 8

#: Folders of the home that are disks of their own, where they may be mounted.
SMALL_DISKS = (f"work/{scenario.SMALL_DISK}", f"tickets/{scenario.SMALL_TICKETS}")

#: Seconds between the end of a process and its next start.
PAUSE = 0.1
#: Seconds for a clean end.
PATIENCE = 30.0
#: What a process ends with that cannot reach its database.
UNREACHABLE = 3

Arm = Callable[[str], Sequence[str]]


class House:
    """Everything under test, and hands to reach it."""

    def __init__(
        self,
        root: Path,
        redis: RedisServer,
        database: Database,
        ssh: SshMachine,
        lease: float,
        mutations: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.home = root / "home"
        self.redis = redis
        self.database = database
        self.ssh = ssh
        self.lease = lease
        self.ledger = Ledger()
        self.closing = False
        #: Whether the database is away, so that who starts now cannot help ending.
        self.deaf_until = 0.0
        #: What the next who is started in this place gets into its environment.
        self.next_environ: dict[str, Mapping[str, str]] = {}
        self.arm: Arm = lambda _name: ()
        self.on_stop: Callable[[Process, Injected], None] = lambda process, _: process.send(
            signal.SIGCONT
        )
        self.commands: list[Command] = []
        self._environ = self._environment(mutations)
        self.nursery = Nursery(self._environ)
        words = {name: ["workers", "control"] for name in HOUSEKEEPING} | {
            name: ["workers", "slots", "--no-control", "--task-cap", str(TASK_CAP)]
            for name in WORKERS
        }
        self.processes = {
            name: Process(name, spoken, self._environ, self.home, self.nursery)
            for name, spoken in words.items()
        }

    # ---- what there is ----

    @property
    def workers(self) -> list[Process]:
        """The two workers."""
        return [self.processes[name] for name in WORKERS]

    @property
    def housekeepers(self) -> list[Process]:
        """The two housekeeping processes."""
        return [self.processes[name] for name in HOUSEKEEPING]

    @property
    def traces(self) -> Path:
        """Where each process leaves the names of the failpoints that it passed."""
        return self.home / "traces"

    def own_pids(self) -> set[int]:
        """Of the battery and its servers."""
        return {os.getpid(), self.nursery.pid, *self.redis.pids}

    # ---- acts ----

    def furnish(self, dice: random.Random, *, long_everywhere: bool = False) -> None:
        """Makes the machines and applies the catalog."""
        scenario.furnish(self.home, dice, long_everywhere=long_everywhere)
        for folder in SMALL_DISKS:
            if not _mount(self.home / folder):
                break
        self.catalog = self.root / "catalog.yaml"
        self.write_catalog(scenario.SCHEDULES[0])
        self.finish(self.command("apply", str(self.catalog)))

    def write_catalog(self, *schedules: str) -> None:
        """Writes the catalog anew, with these schedules."""
        text = scenario.catalog(self.home, *schedules, ssh=self.ssh.connection())
        self.catalog.write_text(text, "utf-8")

    def command(
        self, *words: str, accepted: Sequence[str] = (), after: Command | None = None
    ) -> Command:
        """Gives a command; :meth:`tend` looks after it, and starts it when ``after`` is done."""
        name = f"command-{len(self.commands) + 1}"
        process = Process(name, ["deployengine", *words], self._environ, self.home, self.nursery)
        command = Command(process, accepted, after)
        self.commands.append(command)
        return command

    def finish(self, command: Command) -> None:
        """Waits until a command has succeeded."""
        deadline = time.monotonic() + PATIENCE
        while not command.done:
            command.tend(())
            if time.monotonic() > deadline:
                raise Broken(f"{' '.join(command.process.words)} did not end", None)
            time.sleep(0.02)
        if command.failed:
            raise Broken(command.failed, None)

    def tend(self) -> None:
        """One look after everybody: traps that sprang, who died, who is to be started."""
        for command in self.commands:
            if not command.done:
                self._hear(command.process)
                command.tend(self.arm(command.process.name))
                if command.failed:
                    self.ledger.surprises.append(command.failed)
        for process in self.processes.values():
            self._hear(process)
            if process.child is not None and not process.alive:
                self._bury(process)
            if process.child is None and not self.closing and time.monotonic() > process.not_before:
                environ = self.next_environ.pop(process.name, None)
                process.start(() if environ else self.arm(process.name), environ)

    def _hear(self, process: Process) -> None:
        for action, name in process.sprung():
            whose = "a wrapper" if of_wrapper(name) else "a process"
            if action == "kill":
                self.ledger.note(f"kill -9 of {whose} at a failpoint", process.name, name)
                self.ledger.killed_at[name] += 1
                if not of_wrapper(name):
                    process.expected = f"killed at {name}"
            elif action == "stop":
                noted = self.ledger.note(f"SIGSTOP of {whose} at a failpoint", process.name, name)
                process.stopped = not of_wrapper(name)
                self.on_stop(process, noted)
            else:
                self.ledger.note("database failure at a failpoint", process.name, name)
                self.deaf_until = time.monotonic() + 5

    def _bury(self, process: Process) -> None:
        self._hear(process)
        assert process.child is not None
        code = process.child.returncode
        pause = PAUSE
        if process.expected is None and not self.closing:
            if code == UNREACHABLE and time.monotonic() < self.deaf_until:
                pause = 1.0
            else:
                said = f"{process.name} ended with {code}: {process.last_words}"
                self.ledger.surprises.append(said)
        process.child, process.not_before = None, time.monotonic() + pause

    def stopped_wrappers(self) -> list[int]:
        """The wrappers that stand still, as at a failpoint."""
        found = []
        for pid, words in self.living().items():
            with suppress(psutil.Error):
                stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
                if stopped and "wrapper.sh" in words:
                    found.append(pid)
        return found

    def close(self) -> None:
        """Ends all with SIGTERM: workers first, then housekeeping."""
        self.closing = True
        for group in (self.workers, self.housekeepers):
            for process in group:
                process.send(signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while any(process.alive for process in group):
                if time.monotonic() > deadline:
                    late = ", ".join(p.name for p in group if p.alive)
                    self.ledger.surprises.append(f"{late} did not end within {PATIENCE:g} s")
                    break
                time.sleep(0.02)
            for process in group:
                code = process.child.returncode if process.child else None
                if code not in (0, None):
                    self.ledger.surprises.append(f"{process.name}, told to end, ended with {code}")

    def write_ledger(self) -> None:
        """Leaves what was injected beside the home, for who keeps the house."""
        lines = (json.dumps(asdict(fault)) + "\n" for fault in self.ledger.faults)
        (self.root / "ledger.jsonl").write_text("".join(lines), "utf-8")

    def clear(self) -> None:
        """Takes away what was mounted."""
        for folder in SMALL_DISKS:
            if (self.home / folder).is_mount():
                subprocess.run(["umount", "--lazy", str(self.home / folder)], check=False)

    def kill_all(self) -> None:
        """Ends whatever names the home, the scripts too."""
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in (*self.processes.values(), *(c.process for c in self.commands)):
            if process.child is not None:
                process.child.wait()

    def living(self) -> dict[int, str]:
        """The processes whose environment or words name the house, but for the battery's own."""
        needle, own, found = str(self.root).encode(), self.own_pids(), {}
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if process.pid in own or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                folder = Path("/proc", str(process.pid))
                if needle in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes():
                    found[process.pid] = " ".join(process.cmdline())
        return found

    def _environment(self, mutations: Sequence[str]) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
        scratch = self.root / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        known = {field.name for field in fields(Settings)}
        settings = {
            "home": str(self.home),
            "database_url": self.database.url,
            "redis_url": self.redis.url,
            "housekeeping_interval": str(self.lease / 4),
            "lease": str(self.lease),
            "output_interval": "0.2",
            "cancel_grace": "2",
            "health_interval": "3",
            "log_level": "INFO",
        }
        return {
            **inherited,
            **{f"DEPLOYENGINE_{k.upper()}": v for k, v in settings.items() if k in known},
            **({"DEPLOYENGINE_MUTATIONS": ",".join(mutations)} if mutations else {}),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "BATTERY_MACHINES": str(self.home / "machines"),
            "TMPDIR": str(scratch),
        }


def _mount(folder: Path) -> bool:
    """Makes the folder a small disk of its own; says whether that is allowed here."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "battery", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def house(
    server: PostgresServer | None,
    seed: str,
    lease: float = 1.5,
    mutations: Sequence[str] = (),
    keep: bool = False,
    long_everywhere: bool = False,
) -> Iterator[House]:
    """A furnished house, on SQLite or on this PostgreSQL; nothing is left of it after."""
    root = Path(tempfile.mkdtemp(prefix="battery-"))
    home = root / "home"
    redis = RedisServer(root / "redis")
    try:
        home.mkdir()
        redis.start()
        database = postgres(home, root, server) if server else sqlite(home)
        with database as opened, closing(SshMachine(home)) as ssh:
            built = House(root, redis, opened, ssh, lease, mutations)
            try:
                dice = random.Random(f"{seed} furniture")
                built.furnish(dice, long_everywhere=long_everywhere)
                yield built
            finally:
                built.kill_all()
                built.clear()
                built.nursery.close()
    finally:
        redis.stop()
        if keep:
            print(f"kept: {root}", file=sys.stderr)
        else:
            shutil.rmtree(root, ignore_errors=True)
