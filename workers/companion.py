"""The companion: a worker's own housekeeping process."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

log = logging.getLogger("deployengine.companion")

#: A companion that lived for less is not started again at once: seconds.
TOO_SHORT = 1.0


class Companion(threading.Thread):
    """Keeps one process running; it ends with this one, even when this one is killed."""

    def __init__(self) -> None:
        super().__init__(name="companion", daemon=True)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Starts it, and again whenever it has ended, until stopped."""
        while (child := self._start()) is not None:
            begun = time.monotonic()
            code = child.wait()
            if self._stopped.is_set():
                return
            log.warning("the housekeeping process ended with %d; starting it again", code)
            self._stopped.wait(max(0.0, TOO_SHORT - (time.monotonic() - begun)))

    def stop(self) -> None:
        """Ends it and waits for its end."""
        with self._lock:
            self._stopped.set()
            child = self._child
        if child is not None:
            assert child.stdin is not None
            child.stdin.close()
            child.wait()
        if self.is_alive():
            self.join()

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped.is_set():
                return None
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers", "control", "--until-stdin-closes"],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            return self._child
