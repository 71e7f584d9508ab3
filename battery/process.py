"""One of the engine's processes: started, killed by faults and failpoints, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from battery.nursery import ROOT as ROOT
from battery.nursery import Child, Nursery
from deployengine import failpoints


@dataclass
class Process:
    """A place in the house that is always filled; ``armed`` are the failpoints of who fills it."""

    name: str
    words: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    nursery: Nursery
    child: subprocess.Popen[bytes] | Child | None = None
    starts: int = 0
    armed: tuple[str, ...] = ()
    stopped: bool = False
    #: Why it is about to end, when somebody has seen to it; its end is no news then.
    expected: str | None = None
    #: When it may be started again (monotonic).
    not_before: float = 0.0
    _awake_at: float | None = field(default=None, repr=False)
    _read: int = field(default=0, repr=False)

    @property
    def log(self) -> Path:
        """What it says; all who fill the place say it here."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def last_words(self) -> str:
        """The end of what it said."""
        with suppress(FileNotFoundError):
            return " | ".join(self.log.read_text("utf-8", "replace").splitlines()[-3:])[-400:]
        return ""

    @property
    def trace(self) -> Path:
        """The failpoints that the one who fills it now has passed."""
        return self.folder / "traces" / f"{self.name}.{self.starts}"

    @property
    def alive(self) -> bool:
        """Whether somebody fills it."""
        return self.child is not None and self.child.poll() is None

    @property
    def awake(self) -> float:
        """For how many seconds it has been at work: it has passed a failpoint."""
        if self._awake_at is None and self.alive and self.trace.exists():
            self._awake_at = time.monotonic()
        return 0.0 if self._awake_at is None else time.monotonic() - self._awake_at

    @property
    def pid(self) -> int:
        """Of who fills it."""
        assert self.child is not None
        return self.child.pid

    def start(self, armed: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        """Fills the place; ``armed`` in the form of ``DEPLOYENGINE_FAILPOINTS``."""
        self.starts += 1
        self._awake_at = None
        self.armed, self.stopped, self.expected, self._read = tuple(armed), False, None, 0
        for path in (self.log, self.trace):
            path.parent.mkdir(parents=True, exist_ok=True)
        own = {
            failpoints.TRACE_VARIABLE: str(self.trace),
            **({failpoints.VARIABLE: ",".join(armed)} if armed else {}),
        }
        whole = {**self.environ, **own, **(environ or {})}
        if "LD_PRELOAD" not in whole:
            self.child = self.nursery.start(self.words, whole, self.log)
            return
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", *self.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                env=whole,
            )

    def send(self, word: signal.Signals, why: str | None = None) -> None:
        """Sends a signal to who fills the place, if anybody does."""
        if why is not None:
            self.expected = why
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, word)
        if word is signal.SIGSTOP:
            self.stopped = True
        elif word is signal.SIGCONT:
            self.stopped = False
            self._awake_at = time.monotonic()

    def kill_quietly(self) -> None:
        """Ends who fills the place, and nobody takes it for a fault."""
        self.send(signal.SIGKILL, "its place was needed")

    def sprung(self) -> list[tuple[str, str]]:
        """The traps that have sprung since the last call: action and name."""
        with suppress(FileNotFoundError):
            with self.trace.open(encoding="utf-8") as file:
                file.seek(self._read)
                text = file.read()
            whole = text[: text.rfind("\n") + 1]
            self._read += len(whole.encode())
            lines = (line.partition(" ") for line in whole.splitlines())
            return [(action, name) for action, blank, name in lines if blank]
        return []
