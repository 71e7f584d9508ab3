"""A clock that a test sets, for all processes of one engine; and those processes.

``python -m tests.support.moved_clock FILE slots|control`` is the worker, or the housekeeping, as
it is but for the clock. Only instants are the test's own: seconds are measured as they pass, since
leases and time-outs are about real processes.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deployengine.services import Services
from deployengine.settings import Settings
from workers.processes import run_control, run_slots


class MovedClock:
    """The real time and as many seconds more as a file says; it is moved by whoever writes it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """The present instant in UTC."""
        moved = float(self._file.read_text("ascii"))
        return datetime.now(UTC) + timedelta(seconds=moved)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def set(self, instant: datetime) -> None:
        """Lets it be this instant now, in every process."""
        moved = (instant - datetime.now(UTC)).total_seconds()
        written = self._file.with_suffix(".new")
        written.write_text(f"{moved:f}", "ascii")
        written.replace(self._file)


def main(file: str, kind: str) -> int:
    """One process, until it is told to end."""
    settings = Settings.read(os.environ, Path.cwd())
    logging.basicConfig(level="INFO")
    with Services.open(settings, MovedClock(Path(file))) as services:
        if kind == "control":
            return run_control(services, until_stdin_closes=False)
        return run_slots(services, with_control=False, until_stdin_closes=False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
