"""What goes wrong on a machine when a protection is left out.

::

    python -m tests.steps.harms PROTECTION WORKDIR     prints "harm" or "safe"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from deployengine.steps.contract import Lock, Started, Work
from deployengine.steps.errors import StaleFence
from deployengine.steps.local import LocalRunner

_WEB = (Lock("web", exclusive=True),)
_PATIENCE = timedelta(seconds=20)
_SHORT = timedelta(milliseconds=20)


def _clash(runner: LocalRunner, workdir: Path) -> bool:
    first = runner.ticket(Work("first", 1, "exec sleep 60", locks=_WEB))
    first.start()
    second = runner.ticket(Work("second", 2, "exit 0", locks=_WEB))
    try:
        return second.start(patience=_SHORT) is Started.FIRST
    finally:
        first.cancel()


def _late(runner: LocalRunner, workdir: Path) -> bool:
    runner.ticket(Work("newer", 2, "exit 0", locks=_WEB)).start()
    try:
        return runner.ticket(Work("late", 1, "exit 0", locks=_WEB)).start() is Started.FIRST
    except StaleFence:
        return False


def _revoked(runner: LocalRunner, workdir: Path) -> bool:
    runner.revoke(1)
    try:
        return runner.ticket(Work("late", 1, "exit 0")).start() is Started.FIRST
    except StaleFence:
        return False


def _twice(runner: LocalRunner, workdir: Path) -> bool:
    ticket = runner.ticket(Work("once", 1, "echo ran >> journal", locks=_WEB))
    for _ in range(2):
        ticket.start()
        ticket.wait(_PATIENCE)
    # The machine is free only when whatever was started has ended.
    last = runner.ticket(Work("last", 2, "exit 0", locks=_WEB))
    last.start()
    return (workdir / "journal").read_text() != "ran\n"


#: For each protection: whether the harm is done that it protects from.
HARMS: Mapping[str, Callable[[LocalRunner, Path], bool]] = {
    "machine-lock": _clash,
    "stale-fence": _late,
    "revoked": _revoked,
    "start-once": _twice,
}


def main(protection: str, workdir: str) -> str:
    """Tries to do the harm."""
    runner = LocalRunner(workdir, f"{workdir}.tickets")
    return "harm" if HARMS[protection](runner, Path(workdir)) else "safe"


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))
