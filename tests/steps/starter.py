"""A process of its own that starts one ticket and tells what came of it, as a worker would.

::

    python -m tests.steps.starter WORKDIR TICKET FENCE LOCKS SCRIPT

LOCKS are words like ``exclusive:web`` and ``shared:db``, with commas, or nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from deployengine.steps.contract import Lock, Work
from deployengine.steps.errors import StepError
from deployengine.steps.local import LocalRunner

ROOT = Path(__file__).parents[2]


class Starter:
    """The process, seen from a test; ``armed`` and ``without`` are its failpoints and mutations."""

    def __init__(
        self, workdir: Path, ticket: str, fence: int, locks: str, script: str, **more: str
    ) -> None:
        names = {
            "armed": "DEPLOYENGINE_FAILPOINTS",
            "trace": "DEPLOYENGINE_FAILPOINTS_TRACE",
            "without": "DEPLOYENGINE_MUTATIONS",
        }
        words = (str(workdir), ticket, str(fence), locks, script)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **{names[name]: value for name, value in more.items()}},
        )

    def until_stopped(self) -> None:
        """Blocks until the process has stopped itself at its failpoint."""
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended with {status} and did not stop"

    def go_on(self) -> None:
        """Lets a stopped process go on."""
        self._process.send_signal(signal.SIGCONT)

    def came_to(self) -> str:
        """What came of the start: FIRST, ATTACHED, or the error."""
        said, _ = self._process.communicate(timeout=30)
        return said.strip()


def locks_of(text: str) -> tuple[Lock, ...]:
    """The locks that these words mean."""
    pairs = (word.split(":", 1) for word in text.split(",") if word)
    return tuple(Lock(resource, mode == "exclusive") for mode, resource in pairs)


def main(workdir: str, ticket: str, fence: str, locks: str, script: str) -> str:
    """Starts the ticket."""
    work = Work(ticket, int(fence), script, locks=locks_of(locks))
    try:
        return LocalRunner(workdir, f"{workdir}.tickets").ticket(work).start().name
    except StepError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))
