"""One machine's processes in the foreground: started together, ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from deployengine.domain.errors import DeployEngineError
from deployengine.settings import Settings

#: A process that ended by itself so soon is not started again: it would only end again. Seconds.
TOO_SHORT = 5.0
#: Seconds between two looks at the processes.
PAUSE = 0.1


class ProcessEnded(DeployEngineError):
    """A process that was to go on has ended."""


class Supervisor:
    """Runs housekeeping and workers as children; one that dies is started again.

    Their output goes to files in the home's ``logs``. A first SIGINT or SIGTERM lets running
    scripts end; a second one leaves them to whoever starts next; a third one waits for nothing.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._children: dict[str, tuple[subprocess.Popen[bytes], list[str], float]] = {}
        self._ending = threading.Event()
        self._given_up = False
        self._stops = 0

    def run(self, task_cap: int, workers: int) -> int:
        """Runs until told to stop; the exit code, 0 for a clean end."""
        with self._signals(), self.running(task_cap, workers):
            self._say(f"up: {workers} worker(s), {task_cap} slots each; Ctrl-C ends it clean")
            self._say(f"logs are in {self._settings.logs}")
            while not self._stops:
                if self._given_up:
                    return 1
                self._pause()
            self._say("stopping: running scripts may end (Ctrl-C again not to wait for them)")
        return 0

    @contextlib.contextmanager
    def running(self, task_cap: int, workers: int) -> Iterator[None]:
        """The processes, for as long as the block lasts."""
        self._start("housekeeping", ["control"])
        for number in range(1, workers + 1):
            slots = ["slots", "--no-control", "--task-cap", str(task_cap)]
            self._start(f"worker-{number}", slots)
        keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ending.set()
            keeper.join()
            self._end()

    def check(self) -> None:
        """Raises :class:`ProcessEnded` when one ended and will not come back; its last words."""
        for name, (child, _, _) in list(self._children.items()) if self._given_up else ():
            if child.poll() is not None:
                log = self._settings.logs / f"{name}.log"
                words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                last = words[-1] if words else "nothing"
                raise ProcessEnded(f"{name} ended with {child.returncode}; it said: {last}")

    def _start(self, name: str, arguments: list[str]) -> None:
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        with Path(self._settings.logs, f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers", *arguments, "--until-stdin-closes"],
                stdin=subprocess.PIPE,  # closes when this process ends, however it ends
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for this process alone
                env={**os.environ, **self._environment()},
            )
        self._children[name] = (child, arguments, time.monotonic())

    def _environment(self) -> dict[str, str]:
        """Where everything is, said outright: these settings may differ from the environment's."""
        return {
            "DEPLOYENGINE_HOME": str(self._settings.home),
            "DEPLOYENGINE_DATABASE_URL": self._settings.database_url,
            "DEPLOYENGINE_REDIS_URL": self._settings.redis_url or "",
        }

    def _keep(self) -> None:
        """Starts again what has ended, until all is to end or something ends at once."""
        while not self._ending.wait(PAUSE) and not self._given_up:
            for name, (child, arguments, begun) in list(self._children.items()):
                if child.poll() is not None:
                    self._revive(name, child.returncode, arguments, begun)

    def _revive(self, name: str, code: int, arguments: list[str], begun: float) -> None:
        log = self._settings.logs / f"{name}.log"
        killed = code < 0
        if not killed and time.monotonic() - begun < TOO_SHORT:
            self._say(f"{name} ended with {code} at once; see {log}")
            self._given_up = True
            return
        how = f"was killed by signal {-code}" if killed else f"ended with {code}"
        self._say(f"{name} {how}; starting it again; see {log}")
        self._start(name, arguments)

    def _end(self) -> None:
        """Workers first: what their last scripts bring about needs housekeeping to go on."""
        for prefix in ("worker", "housekeeping"):
            children = [c for name, (c, _, _) in self._children.items() if name.startswith(prefix)]
            for child in children:
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)
            for child in children:
                self._await(child)

    def _await(self, child: subprocess.Popen[bytes]) -> None:
        """Waits for its end; told twice, it shall leave its scripts to others, and then be gone."""
        asked = False
        while child.poll() is None:
            if self._stops > 2:
                child.kill()
            elif self._stops == 2 and not asked:
                child.send_signal(signal.SIGQUIT)
                asked = True
            self._pause()

    def _pause(self) -> None:
        time.sleep(PAUSE)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {each: signal.signal(each, self._on_signal) for each in stops}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1
